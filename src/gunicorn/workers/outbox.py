"""What a connection has yet to send: buffers and ranges of files, in order.

Nothing but small pieces is copied: a buffer that the kernel took in part stays as a view of the
rest. Small ones are put together, as an object for each would take many times what is in it. What
counts is what the objects take, of which a view of the last byte keeps all. Where the kernel
cannot send a file (TLS, or the user wants no sendfile), it is read piece by piece, each when the
one before has left.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from gunicorn.http.body import SMALL_PIECE
from gunicorn.workers.room import SMALL, Room

if TYPE_CHECKING:
    from gunicorn.wsgi.response import FileDone

FILE_PIECE = 8 * 1024 * 1024
"""The most bytes that one call of sendfile(2) is asked for."""

READ_PIECE = 128 * 1024
"""Bytes of a file that are read at once where sendfile(2) cannot be used."""

FAIR_SHARE = 8 * 1024 * 1024
"""Bytes sent to one client, however fast it takes them, before others have their turn."""


class FileRange:
    """`count` bytes of a file from `offset`; `done` is called when it ends."""

    __slots__ = ("count", "descriptor", "done", "offset", "piece", "sent")

    def __init__(self, descriptor: int, offset: int, count: int, done: FileDone) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.count = count
        self.sent = 0
        self.piece = memoryview(b"")
        """What was read and is not sent yet, where the kernel cannot do both."""
        self.done = done

    def end(self, *, lost: bool = False) -> None:
        """No more of the file is sent; `lost` when the connection is closed before its end."""
        self.done(self.sent, lost=lost)


Queue = deque["memoryview | bytearray | FileRange"]
"""A bytearray may still grow, at the end of the queue, until it is its turn to be sent."""

NOTHING = cast(Queue, ())
"""What is queued on most connections at most times: an empty deque takes 760 bytes of each."""


def footprint(entry: memoryview | bytearray) -> int:
    """Bytes of memory that an entry keeps."""
    return memoryview(entry.obj).nbytes if isinstance(entry, memoryview) else len(entry)


class Outbox:
    """A queue of things to send; what is in memory takes from the `room` of all connections."""

    __slots__ = ("queue", "room", "settled", "size", "uses_sendfile")

    def __init__(self, uses_sendfile: bool, room: Room) -> None:
        self.uses_sendfile = uses_sendfile
        self.room = room
        self.queue = NOTHING
        self.size = 0
        """Bytes of memory that the queue takes; files do not count."""
        self.settled = False
        """Whether what is in memory stays there, however much it is."""

    def __bool__(self) -> bool:
        return bool(self.queue)

    @property
    def ends_in_file(self) -> bool:
        """Whether what is added now has to stand behind a file."""
        return bool(self.queue) and isinstance(self.queue[-1], FileRange)

    def add(self, data: bytes | memoryview) -> None:
        size = len(data)
        if not size:
            return
        queue = self.to_fill()
        if size >= SMALL_PIECE:
            view = memoryview(data)
            queue.append(view)
            self.resize(footprint(view))
            return
        last = queue[-1] if queue else None
        if isinstance(last, bytearray) and len(last) < SMALL:
            last += data
        else:
            queue.append(bytearray(data))
        self.resize(size)

    def resize(self, size: int) -> None:
        """So many bytes of memory are queued more, or less (below 0)."""
        self.size += size
        self.room.add(size)

    @property
    def is_pressed(self) -> bool:
        """Whether what is in memory should not stay there, as there is no room for all."""
        return self.size >= SMALL and self.room.is_full

    def add_file(self, file: FileRange) -> None:
        self.to_fill().append(file)

    def to_fill(self) -> Queue:
        """The queue, for who adds to it."""
        if self.queue is NOTHING:
            self.queue = deque()
        return self.queue

    def flush(self, descriptor: int, send: Callable[[memoryview], int]) -> int:
        """Send as much as the kernel takes, or a fair share, and return the number of bytes.

        `send` sends a buffer on the socket `descriptor`. Raises `BlockingIOError` when nothing at
        all can be sent, and what else the socket raises.
        """
        total = 0
        queue = self.queue
        while queue and total < FAIR_SHARE:
            first = queue[0]
            if isinstance(first, bytearray):
                # It grows no more, since a view of it cannot be moved.
                first = queue[0] = memoryview(first)
            try:
                if isinstance(first, FileRange):
                    total += self.flush_file(descriptor, send, first)
                    continue
                sent = send(first)
            except BlockingIOError:
                if total:
                    return total
                raise
            total += sent
            if sent == first.nbytes:
                queue.popleft()
                self.resize(-footprint(first))
            else:
                queue[0] = first[sent:]
        if not queue:
            self.queue = NOTHING
        return total

    def flush_file(
        self, descriptor: int, send: Callable[[memoryview], int], file: FileRange
    ) -> int:
        """Send the next piece of the first entry and return its bytes."""
        missing = file.count - file.sent
        position = file.offset + file.sent
        sent = 0
        if missing and self.uses_sendfile:
            sent = os.sendfile(descriptor, file.descriptor, position, min(missing, FILE_PIECE))
        elif missing:
            if not file.piece:
                data = os.pread(file.descriptor, min(missing, READ_PIECE), position)
                file.piece = memoryview(data)
            sent = send(file.piece) if file.piece else 0
            file.piece = file.piece[sent:]
        file.sent += sent
        # A file that shrank under the transfer ends it: the connection is closed by `done`.
        if not sent:
            self.queue.popleft()
            file.end()
        return sent

    def clear(self) -> None:
        """Give up on everything; transfers of files end where they are."""
        queue, self.queue = self.queue, NOTHING
        if self.size:
            self.resize(-self.size)
        for entry in queue:
            if isinstance(entry, FileRange):
                entry.end(lost=True)
