"""Responses that wait in files until their clients have read them.

An application produces its response at its own pace. What a slow client leaves behind of it is
kept in memory at first, and then in temporary files: a file is filled up to a size and the next
begun, and each ends when it is sent, so the disk holds little more than what is still to be sent.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gunicorn.workers.outbox import FileRange, Outbox, Queue, footprint
from gunicorn.workers.room import Room
from gunicorn.workers.temporary import NO_ROOM, TemporaryFiles, write_all

if TYPE_CHECKING:
    from gunicorn.glogging import Logger

SEGMENT = 64 * 1024 * 1024
"""Bytes after which the next file is begun."""


def nobody(sent: int, *, lost: bool) -> None:
    """Of the end of a segment nobody needs to be told."""


class Segment(FileRange):
    """A file that grows while its beginning is being sent; `room` is what it takes from."""

    __slots__ = ("room",)

    def __init__(self, descriptor: int, room: Room) -> None:
        super().__init__(descriptor, 0, 0, nobody)
        self.room = room

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Add to the end; raises `OSError`, and then the segment is as before."""
        write_all(self.descriptor, data, self.count)
        self.count += len(data)

    def end(self, *, lost: bool = False) -> None:
        """Give up the file and what it takes of the room, wherever its bytes have gone."""
        super().end(lost=lost)
        os.close(self.descriptor)
        self.room.add(-self.count)


class ResponseSpool:
    """Keeps up to `limit` bytes of each response in files of `folder` (None: the system's).

    `room` is what all files may come to together.
    """

    def __init__(self, folder: str | None, limit: int, log: Logger, room: Room) -> None:
        self.files = TemporaryFiles("worker_tmp_dir", folder, log)
        self.limit = limit
        self.room = room

    def keep(self, outbox: Outbox, data: bytes | memoryview) -> bool:
        """Add `data` to the end of `outbox` by way of a file; False when there is no room."""
        if self.backlog(outbox) + len(data) > self.limit:
            return False
        return self.append(outbox.to_fill(), data)

    def move(self, outbox: Outbox) -> bool:
        """Put in files what `outbox` has in memory; False when some of it has to stay."""
        in_memory = (len(each) for each in outbox.queue if not isinstance(each, FileRange))
        if self.backlog(outbox) + sum(in_memory) > self.limit:
            return False
        old, new = outbox.queue, Queue()
        while old:
            entry = old[0]
            if isinstance(entry, FileRange):
                new.append(entry)
            elif self.append(new, entry):
                outbox.resize(-footprint(entry))
            else:
                break
            old.popleft()
        moved = not old
        new.extend(old)
        outbox.queue = new
        return moved

    @staticmethod
    def backlog(outbox: Outbox) -> int:
        """Bytes of a response that are in files and not yet sent."""
        return sum(each.count - each.sent for each in outbox.queue if isinstance(each, Segment))

    def append(self, queue: Queue, data: bytes | bytearray | memoryview) -> bool:
        """Put `data` in the file at the end of `queue`, or in a new one."""
        last = queue[-1] if queue else None
        size = len(data)
        if not self.room.take(size):
            self.files.complain("A response", NO_ROOM)
            return False
        try:
            if isinstance(last, Segment) and last.count < SEGMENT:
                last.append(data)
                return True
            segment = Segment(self.files.open(), self.room)
            try:
                segment.append(data)
            except OSError:
                segment.end()
                raise
        except OSError as error:
            self.room.add(-size)
            self.files.complain("A response", error)
            return False
        queue.append(segment)
        return True
