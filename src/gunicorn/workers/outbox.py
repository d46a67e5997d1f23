"""What a connection has yet to send: buffers and ranges of files, in order.

Nothing is copied: a buffer that the kernel took in part stays as a view of the rest.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

FILE_PIECE = 0x7FFFF000
"""The most bytes that one sendfile(2) moves."""


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

    __slots__ = ("queue", "size")

    def __init__(self) -> None:
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
        missing = file.count - file.sent
        sent = 0
        if missing:
            sent = os.sendfile(
                descriptor, file.descriptor, file.offset + file.sent, min(missing, FILE_PIECE)
            )
            file.sent += sent
        # A file that shrank under the transfer ends it: the connection is closed by `done`.
        if file.sent == file.count or (missing and not sent):
            self.queue.popleft()
            file.done(file.sent)
        return sent

    def clear(self) -> None:
        """Give up on everything; transfers of files end where they are."""
        queue, self.queue, self.size = self.queue, deque(), 0
        for entry in queue:
            if isinstance(entry, FileRange):
                entry.done(entry.sent)
