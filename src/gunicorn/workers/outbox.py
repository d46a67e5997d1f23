"""What a connection has yet to send: buffers and ranges of files, in order.

Nothing is copied: a buffer that the kernel took in part stays as a view of the rest. Where the
kernel cannot send a file (TLS, or the user wants no sendfile), it is read piece by piece, each
when the one before has left.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

FILE_PIECE = 0x7FFFF000
"""The most bytes that one sendfile(2) moves."""

READ_PIECE = 128 * 1024
"""Bytes of a file that are read at once where sendfile(2) cannot be used."""


class FileRange:
    """`count` bytes of a file from `offset`; `done` is called with the bytes sent when it ends."""

    __slots__ = ("count", "descriptor", "done", "offset", "sent")

    def __init__(
        self, descriptor: int, offset: int, count: int, done: Callable[[int], None]
    ) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.count = count
        self.sent = 0
        self.done = done


class Outbox:
    """A queue of things to send."""

    __slots__ = ("queue", "size", "uses_sendfile")

    def __init__(self, uses_sendfile: bool) -> None:
        self.uses_sendfile = uses_sendfile
        self.queue: deque[memoryview | FileRange] = deque()
        self.size = 0
        """Bytes of memory that are queued; files do not count."""

    def __bool__(self) -> bool:
        return bool(self.queue)

    def add(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        if view.nbytes:
            self.queue.append(view)
            self.size += view.nbytes

    def add_file(self, file: FileRange) -> None:
        self.queue.append(file)

    def flush(self, descriptor: int, send: Callable[[memoryview], int]) -> int:
        """Send as much as the kernel takes and return the number of bytes.

        `send` sends a buffer on the socket `descriptor`. Raises `BlockingIOError` when nothing at
        all can be sent, and what else the socket raises.
        """
        total = 0
        queue = self.queue
        while queue:
            first = queue[0]
            try:
                if isinstance(first, FileRange):
                    total += self.flush_file(descriptor, first)
                    continue
                sent = send(first)
            except BlockingIOError:
                if total:
                    return total
                raise
            total += sent
            self.size -= sent
            if sent == first.nbytes:
                queue.popleft()
            else:
                queue[0] = first[sent:]
        return total

    def flush_file(self, descriptor: int, file: FileRange) -> int:
        """Send or queue the next piece of the first entry; return the bytes that were sent."""
        missing = file.count - file.sent
        position = file.offset + file.sent
        moved = sent = 0
        piece = b""
        if missing and self.uses_sendfile:
            moved = sent = os.sendfile(
                descriptor, file.descriptor, position, min(missing, FILE_PIECE)
            )
        elif missing:
            piece = os.pread(file.descriptor, min(missing, READ_PIECE), position)
            moved = len(piece)
        file.sent += moved
        # A file that shrank under the transfer ends it: the connection is closed by `done`.
        if not moved:
            self.queue.popleft()
            file.done(file.sent)
        elif not self.uses_sendfile:
            self.queue.appendleft(memoryview(piece))
            self.size += moved
        return sent

    def clear(self) -> None:
        """Give up on everything; transfers of files end where they are."""
        queue, self.queue, self.size = self.queue, deque(), 0
        for entry in queue:
            if isinstance(entry, FileRange):
                entry.done(entry.sent)
