"""Request bodies that wait for their end in a file.

An application is called when all of the body is here: so no client can make it wait by sending
slowly, and it is told the length of a chunked body too (frameworks read as far as CONTENT_LENGTH
says, and Django takes a body without one for empty). What would take too much memory meanwhile
goes to a temporary file.

A file has its bound too, and so have all files of a worker together. A body beyond it, or one that
the disk has no room for, is handed out as a stream: first what the file holds, then what is in
memory, then what arrives.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from gunicorn.http.body import Body, Decoder, LengthDecoder
from gunicorn.workers.room import SMALL, Room
from gunicorn.workers.temporary import NO_ROOM, TemporaryFiles, write_all
from gunicorn.wsgi.input import Source, StreamInput

if TYPE_CHECKING:
    from gunicorn.glogging import Logger

READ_SIZE = 64 * 1024


class Spooler:
    """Makes bodies that keep `memory` bytes in memory and `limit` bytes in a file of `folder`.

    `memory_room` and `file_room` are what they may come to together. When the first is full,
    bodies go to files sooner; when the second is, they are streamed.
    """

    def __init__(
        self,
        folder: str | None,
        memory: int,
        limit: int,
        log: Logger,
        memory_room: Room,
        file_room: Room,
    ) -> None:
        self.files = TemporaryFiles("tmp_upload_dir", folder, log)
        self.memory = memory
        self.limit = limit
        self.memory_room = memory_room
        self.file_room = file_room

    def __call__(self, decoder: Decoder, limit: int) -> Body:
        return SpooledBody(decoder, limit, self)


class SpooledBody(Body):
    """A body that moves to a file when it grows."""

    def __init__(self, decoder: Decoder, limit: int, spooler: Spooler) -> None:
        super().__init__(decoder, limit)
        self.spooler = spooler
        self.file = -1
        self.spooled = 0
        self.counted = 0
        """Bytes taken from the room in memory."""
        self.full = spooler.limit <= 0
        """Whether no more goes to the file."""
        # It is clear from the beginning that a long one will have a file.
        long = isinstance(decoder, LengthDecoder) and decoder.remaining > spooler.memory
        self.threshold = min(spooler.memory, SMALL) if long else spooler.memory

    def __del__(self) -> None:
        # The application may keep its input for longer than the request lasts.
        if self.counted:
            self.spooler.memory_room.add(-self.counted)
        if self.file >= 0:
            os.close(self.file)
            self.spooler.file_room.add(-self.spooled)

    def is_due(self, size: int) -> bool:
        return self.complete or (self.full and self.buffered >= size)

    def feed(self, data: bytes) -> bytes:
        rest = super().feed(data)
        if not (self.complete or self.full) and self.buffered:
            room = self.spooler.memory_room
            if self.buffered >= self.threshold or (self.buffered >= SMALL and room.is_full):
                self.spool()
        self.count()
        return rest

    def count(self) -> None:
        """Take as much from the room as is in memory; a complete body is the application's."""
        size = 0 if self.complete else self.buffered
        if size != self.counted:
            self.spooler.memory_room.add(size - self.counted)
            self.counted = size

    def spool(self) -> None:
        """Move what is in memory to the file."""
        spooler = self.spooler
        size = self.buffered
        if not spooler.file_room.take(size):
            spooler.files.complain("A request body", NO_ROOM)
            self.full = True
            return
        try:
            if self.file < 0:
                self.file = spooler.files.open()
                self.threshold = min(spooler.memory, SMALL)
            position = self.spooled
            for piece in self.pieces:
                write_all(self.file, piece, position)
                position += len(piece)
        except OSError as error:
            spooler.file_room.add(-size)
            spooler.files.complain("A request body", error)
            self.full = True
            return
        self.take_pieces()
        self.spooled = position
        self.full = position >= spooler.limit

    def open(self, source: Source) -> io.BufferedIOBase:
        """Return the input of an application; the body is whole, or its bound is reached."""
        if self.file >= 0:
            return SpooledInput(self, source)
        if self.complete and (len(self.pieces) < 2 or self.buffered <= SMALL):
            return io.BytesIO(self.take())
        return StreamInput(self, source)


class SpooledInput(StreamInput):
    """Reads what the file holds, then what is in memory, then what is still to come."""

    body: SpooledBody

    def __init__(self, body: SpooledBody, source: Source) -> None:
        super().__init__(body, source)
        self.unread = body.spooled

    def fill(self) -> bool:
        """Get more content when none is left; False at the end of the body."""
        if not self.unread:
            return super().fill()
        position = self.body.spooled - self.unread
        self.content = os.pread(self.body.file, min(self.unread, READ_SIZE), position)
        if not self.content:
            raise OSError("a request body in a temporary file was cut by somebody else")
        self.unread -= len(self.content)
        self.position = 0
        return True
