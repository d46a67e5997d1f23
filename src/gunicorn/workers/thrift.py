"""How much memory stays with the worker between requests, and how the rest goes back.

The C library returns freed memory from the end of its heap only, and takes and returns that end
all the time where buffers come and go: then each upload or large response pays for fresh pages.
glibc learns from the largest block that was mapped and freed how much a process needs to go on
with (mallopt(3), M_MMAP_THRESHOLD), so it is shown one.

And one small object at the end of the heap, which outlives a crowd of clients, keeps all that was
freed below it. glibc has malloc_trim(3) for that, which takes time, so it is called when the
number of connections has fallen far, once more when it has come to rest, and not more often.
"""

from __future__ import annotations

from gunicorn.libc import trimmer

CROWD = 100
"""Connections that are worth the call."""

LOOKS = 6
"""Looks after the last time that the number has halved, until the call is made once more."""

WORKING_MEMORY = 4 * 1024 * 1024
"""Bytes of a block below which memory comes from the heap; twice as many stay at its end."""


def keep_working_memory() -> None:
    """Show the C library a block, whose pages are not touched, and let go of it."""
    bytes(WORKING_MEMORY)


class Thrift:
    """Watches the number of connections of a worker, and trims when most have gone."""

    def __init__(self) -> None:
        self.most = 0
        self.looks_left = 0
        """How often to look until the last of a crowd will have gone, too; 0 after that."""
        # Asked for now: what `ctypes` may leave between the objects of a crowd would stay there.
        self.trim = trimmer()

    def look(self, connections: int) -> None:
        """Called now and then with the number of connections."""
        if connections > self.most:
            self.most = connections
        elif self.most >= CROWD and connections <= self.most // 2:
            self.most = connections
            self.looks_left = LOOKS
            self.give_back()
        elif self.looks_left:
            self.looks_left -= 1
            if not self.looks_left:
                self.give_back()

    def give_back(self) -> None:
        """Let the system have what is free."""
        if self.trim is not None:
            self.trim(0)
