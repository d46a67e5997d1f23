"""Request bodies that wait for their end in a file.

An application is called when all of the body is here: so no client can make it wait by sending
slowly, and it is told the length of a chunked body too (frameworks read as far as CONTENT_LENGTH
says, and Django takes a body without one for empty). What would take too much memory meanwhile
goes to a temporary file.

A file has its bound too. A body beyond it, or one that the disk has no room for, is handed out as
a stream: first what the file holds, then what is in memory, then what arrives.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from gunicorn.http.body import Body, Decoder, LengthDecoder
from gunicorn.workers.temporary import TemporaryFiles, write_all
from gunicorn.wsgi.input import Source, StreamInput

if TYPE_CHECKING:
    from gunicorn.glogging import Logger

WRITE_SIZE = 256 * 1024
"""Bytes that are collected before they are written, once it is clear that there will be a file."""

READ_SIZE = 64 * 1024


class Spooler:
    """Makes bodies that keep `memory` bytes in memory and `limit` bytes in a file of `folder`."""

    def __init__(self, folder: str | None, memory: int, limit: int, log: Logger) -> None:
        self.files = TemporaryFiles(folder, log)
        self.memory = memory
        self.limit = limit

    def __call__(self, decoder: Decoder, limit: int) -> Body:
        return SpooledBody(decoder, limit, self)


class SpooledBody(Body):
    """A body that moves to a file when it grows."""

    def __init__(self, decoder: Decoder, limit: int, spooler: Spooler) -> None:
        super().__init__(decoder, limit)
        self.spooler = spooler
        self.file = -1
        self.spooled = 0
        self.full = spooler.limit <= 0
        """Whether no more goes to the file."""
        known = isinstance(decoder, LengthDecoder)
        self.threshold = min(spooler.memory, WRITE_SIZE) if known else spooler.memory

    def __del__(self) -> None:
        # The application may keep its input for longer than the request lasts.
        if self.file >= 0:
            os.close(self.file)

    def is_due(self, size: int) -> bool:
        return self.complete or (self.full and self.buffered >= size)

    def feed(self, data: bytes) -> bytes:
        rest = super().feed(data)
        if self.buffered >= self.threshold and self.buffered and not self.full:
            self.spool()
        return rest

    def spool(self) -> None:
        """Move what is in memory to the file."""
        data = self.take()
        try:
            if self.file < 0:
                self.file = self.spooler.files.open()
                self.threshold = min(self.spooler.memory, WRITE_SIZE)
            write_all(self.file, data, self.spooled)
        except OSError as error:
            self.spooler.files.complain("A request body", error)
            self.full = True
            self.pieces.append(data)
            self.buffered = len(data)
            return
        self.spooled += len(data)
        self.full = self.spooled >= self.spooler.limit

    def open(self, source: Source) -> io.BufferedIOBase:
        """Return the input of an application; the body is whole, or its bound is reached."""
        if self.file < 0:
            return io.BytesIO(self.take()) if self.complete else StreamInput(self, source)
        return SpooledInput(self, source)


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
