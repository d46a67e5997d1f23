"""Chunked bodies that are kept in a file until they are whole.

The length of a chunked body is known at its end. Frameworks read as far as CONTENT_LENGTH says,
and Django takes a body without one for empty. So an application is called when all of the body is
here, and is told its length; what would take too much memory meanwhile goes to a temporary file.

A file has its bound too. A body beyond it, or one that the disk has no room for, is handed out as
a stream without a length: first what the file holds, then what arrives.
"""

from __future__ import annotations

import io
import tempfile
from typing import TYPE_CHECKING, Any

from gunicorn.http.body import Body, Decoder
from gunicorn.wsgi.input import Source, StreamInput

if TYPE_CHECKING:
    from gunicorn.glogging import Logger

MEMORY = 512 * 1024
"""Bytes of a body that are kept in memory; less than what makes the protocol hand a request out."""

MAX_FILE = 128 * 1024 * 1024
"""Bytes of a body that are kept in a file."""

READ_SIZE = 64 * 1024


class Spooler:
    """Makes the bodies of chunked requests; files go to `folder` (None: the system's)."""

    def __init__(self, folder: str | None, log: Logger) -> None:
        self.folder = folder
        self.log = log

    def __call__(self, decoder: Decoder, limit: int) -> Body:
        return SpooledBody(decoder, limit, self)


class SpooledBody(Body):
    """A body that moves to a file when it grows."""

    def __init__(self, decoder: Decoder, limit: int, spooler: Spooler) -> None:
        super().__init__(decoder, limit)
        self.spooler = spooler
        self.file: io.FileIO | None = None
        self.spooled = 0
        self.full = False
        """Whether no more goes to the file."""

    def __del__(self) -> None:
        # The application may keep its input for longer than the request lasts.
        if self.file is not None:
            self.file.close()

    def feed(self, data: bytes) -> bytes:
        rest = super().feed(data)
        if self.buffered >= MEMORY and not self.full:
            self.spool()
        return rest

    def spool(self) -> None:
        """Move what is in memory to the file."""
        data = self.take()
        try:
            self.write(data)
        except OSError as error:
            self.spooler.log.warning(
                "A request body cannot be kept in a file in %s: %s. It is streamed instead,"
                " without CONTENT_LENGTH.", self.spooler.folder or tempfile.gettempdir(), error,
            )  # fmt: skip
            self.full = True
            self.pieces.append(data)
            self.buffered = len(data)
            return
        self.spooled += len(data)
        self.full = self.spooled >= MAX_FILE

    def write(self, data: bytes) -> None:
        if self.file is None:
            # Without a buffer, so that what fails fails here and now.
            opened: Any = tempfile.TemporaryFile(  # noqa: SIM115 - closed with the body
                buffering=0, dir=self.spooler.folder
            )
            self.file = opened
        # What an attempt that failed has left behind is not part of the body.
        self.file.seek(self.spooled)
        view = memoryview(data)
        while view:
            view = view[self.file.write(view) :]

    def open(self, source: Source) -> io.BufferedIOBase:
        """Return the input of an application; the body is whole, or its bound is reached."""
        if self.file is None:
            return io.BytesIO(self.take()) if self.complete else StreamInput(self, source)
        self.file.seek(0)
        return SpooledInput(self, source, self.file)


class SpooledInput(StreamInput):
    """Reads what the file holds, then what is in memory, then what is still to come."""

    def __init__(self, body: SpooledBody, source: Source, file: io.FileIO) -> None:
        super().__init__(body, source)
        self.file = file
        self.unread = body.spooled

    def fill(self) -> bool:
        """Get more content when none is left; False at the end of the body."""
        piece = self.file.read(min(self.unread, READ_SIZE)) if self.unread else b""
        if not piece:
            return super().fill()
        self.unread -= len(piece)
        self.content = piece
        self.position = 0
        return True
