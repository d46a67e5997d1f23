"""`wsgi.input` (PEP 3333, "Input and Error Streams").

Most requests have no body, and nearly all others a short one that is in memory before the
application is called: those get an `EmptyInput` and an `io.BytesIO`. The others get a
`StreamInput`. It reads the pieces of a body as they came, for putting together a long one would
cost as much as receiving it, and its reads wait for what is still to come through the driver.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Protocol

from gunicorn.http.body import Body


class Source(Protocol):
    """Where the rest of a body comes from."""

    def receive_more(self) -> None:
        """Wait until more of the body has arrived.

        Raises `IncompleteBody` when the client is gone, `BodyTimeout` when it is silent and the
        `HTTPError` of the rule when it breaks one.
        """


class EmptyInput:
    """The input of a request without a body; it has no state, so one serves all."""

    __slots__ = ()

    def read(self, _size: int | None = -1, /) -> bytes:
        return b""

    def readline(self, _size: int | None = -1, /) -> bytes:
        return b""

    def readlines(self, _hint: int | None = -1, /) -> list[bytes]:
        return []

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        pass


class StreamInput(io.BufferedIOBase):
    """A body in pieces, or one that is read while it arrives.

    A read returns fewer bytes than asked for only at the end of the body. A body that is cut
    short raises; it is never taken for whole.
    """

    def __init__(self, body: Body, source: Source) -> None:
        self.body = body
        self.source = source
        self.content = b""
        self.position = 0
        self.pieces: list[bytes | bytearray] = []
        """What is here and comes after `content`, the next piece last."""

    def readable(self) -> bool:
        return True

    def fill(self) -> bool:
        """Get more content when none is left; False at the end of the body."""
        if not self.pieces:
            body = self.body
            while not body.pieces:
                if body.complete:
                    return False
                self.source.receive_more()
            self.pieces = body.take_pieces()
            self.pieces.reverse()
        self.content = bytes(self.pieces.pop())
        self.position = 0
        return True

    def available(self) -> int:
        return len(self.content) - self.position

    def consume(self, size: int) -> bytes:
        data = self.content[self.position : self.position + size]
        self.position += len(data)
        return data

    def consume_view(self, size: int) -> memoryview:
        """The same without a copy, for a read of several pieces."""
        view = memoryview(self.content)[self.position : self.position + size]
        self.position += len(view)
        return view

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.read_all()
        position = self.position
        end = position + size
        if end <= len(self.content):
            self.position = end
            return self.content[position:end]
        views: list[memoryview] = []
        missing = size
        while missing and (self.available() or self.fill()):
            view = self.consume_view(missing)
            if len(view) == size:
                return bytes(view)
            views.append(view)
            missing -= len(view)
        return b"".join(views)

    def read_all(self) -> bytes:
        views = [self.consume_view(self.available())]
        while self.fill():
            views.append(self.consume_view(self.available()))
        return b"".join(views)

    def read1(self, size: int | None = -1, /) -> bytes:
        if size == 0 or (not self.available() and not self.fill()):
            return b""
        return self.consume(self.available() if size is None or size < 0 else size)

    def readline(self, size: int | None = -1, /) -> bytes:
        missing = sys.maxsize if size is None or size < 0 else size
        pieces: list[bytes] = []
        while missing and (self.available() or self.fill()):
            end = self.content.find(b"\n", self.position) + 1
            here = end - self.position if end else self.available()
            piece = self.consume(min(here, missing))
            pieces.append(piece)
            missing -= len(piece)
            if piece.endswith(b"\n"):
                break
        return b"".join(pieces)

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        lines: list[bytes] = []
        total = 0
        for line in iter(self.readline, b""):
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")
