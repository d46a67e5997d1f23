"""Request bodies: where one ends, and what is in it (RFC 9112, sections 6 and 7).

A decoder is fed whatever the network brings and says what of it is content and what comes after
the body. `Body` keeps the content until somebody takes it. Neither waits for anything: more bytes
come when they come, and `complete` says whether any are missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from gunicorn.http.errors import (
    ChunkMissingTerminator,
    InvalidChunkExtension,
    InvalidChunkSize,
    InvalidTrailer,
    LimitRequestBody,
    LimitRequestHeaders,
    excerpt,
)
from gunicorn.http.policy import Policy

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
QUOTED_STRING = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'

CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
CHUNK_EXT = re.compile(
    rb"(?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)*" % (TOKEN, TOKEN, QUOTED_STRING)
)
TRAILER_LINE = re.compile(rb"(%b):([^\x00-\x08\x0a-\x1f\x7f]*)" % TOKEN)

MAX_CHUNK_LINE = 4096
"""Most bytes in one chunk-size line, extensions included."""

SMALL_PIECE = 4096
"""Pieces of content below this size are appended to one another: an object each would cost more."""

MAX_EXTENSIONS = 16 * 1024
"""Most bytes of chunk extensions in one body: nobody uses them but those who mean harm."""

FORBIDDEN_TRAILERS = frozenset(
    b"authorization cache-control connection content-encoding content-length content-range"
    b" content-type cookie expect host keep-alive max-forwards pragma proxy-authorization"
    b" proxy-connection range set-cookie te trailer transfer-encoding upgrade".split()
)
"""Fields that frame, route or authenticate a message: too late in a trailer (RFC 9110, 6.5.1)."""


class Decoder(Protocol):
    """Finds the end of one body."""

    complete: bool
    trailers: list[tuple[str, str]]

    def decode(self, data: bytes) -> tuple[bytes, bytes]:
        """Return (content, what follows the body), all of `data` being spoken for."""


class LengthDecoder:
    """A body of `length` bytes (RFC 9112, 6.2)."""

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.complete = length == 0
        self.trailers: list[tuple[str, str]] = []

    def decode(self, data: bytes) -> tuple[bytes, bytes]:
        remaining = self.remaining
        if len(data) < remaining:
            self.remaining = remaining - len(data)
            return data, b""
        self.remaining = 0
        self.complete = True
        return data[:remaining], data[remaining:]


class ChunkedDecoder:
    """A body in chunks (RFC 9112, 7.1), read to the letter.

    `pending` holds a line that is not whole yet; chunk data never waits there. `read` is the
    method that reads the element which comes next.
    """

    read: Callable[[ChunkedDecoder, bytes, int, list[bytes]], int]

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.complete = False
        self.trailers: list[tuple[str, str]] = []
        self.pending = b""
        self.remaining = 0
        self.extensions = 0
        self.trailer_size = 0
        self.read = ChunkedDecoder.read_size

    def decode(self, data: bytes) -> tuple[bytes, bytes]:
        data = self.pending + data
        self.pending = b""
        content: list[bytes] = []
        position = 0
        while not self.complete:
            after = self.read(self, data, position, content)
            if after < 0:
                self.pending = data[position:]
                return b"".join(content), b""
            position = after
        return b"".join(content), data[position:]

    # Each reader below takes its element at `position` and returns the position after it,
    # or -1 when the element is not whole yet.

    def read_size(self, data: bytes, position: int, _content: list[bytes]) -> int:
        """chunk-size [ chunk-ext ] CRLF."""
        line, after = self.take_line(data, position, InvalidChunkSize, MAX_CHUNK_LINE)
        if line is None:
            return -1
        size = CHUNK_SIZE.match(line)
        if size is None:
            raise InvalidChunkSize(excerpt(line))
        if not CHUNK_EXT.fullmatch(line, size.end()):
            if line[size.end() : size.end() + 1] in (b";", b" ", b"\t"):
                raise InvalidChunkExtension(excerpt(line))
            raise InvalidChunkSize(excerpt(line))
        self.extensions += len(line) - size.end()
        if self.extensions > MAX_EXTENSIONS:
            raise InvalidChunkExtension(f"more than {MAX_EXTENSIONS} bytes of them")
        self.remaining = int(size[0], 16)
        self.read = ChunkedDecoder.read_data if self.remaining else ChunkedDecoder.read_trailer
        return after

    def read_data(self, data: bytes, position: int, content: list[bytes]) -> int:
        """chunk-data, as much of it as there is."""
        piece = data[position : position + self.remaining]
        if not piece:
            return -1
        content.append(piece)
        self.remaining -= len(piece)
        if not self.remaining:
            self.read = ChunkedDecoder.read_terminator
        return position + len(piece)

    def read_terminator(self, data: bytes, position: int, _content: list[bytes]) -> int:
        """The CRLF behind chunk-data."""
        found = data[position : position + 2]
        if found == b"\r\n":
            self.read = ChunkedDecoder.read_size
            return position + 2
        if found and found != b"\r":
            raise ChunkMissingTerminator(excerpt(found))
        return -1

    def read_trailer(self, data: bytes, position: int, _content: list[bytes]) -> int:
        """One field line of the trailer section, or the empty line that ends the body."""
        policy = self.policy
        limit = policy.limit_request_field_size or policy.max_head
        line, after = self.take_line(data, position, InvalidTrailer, limit, LimitRequestHeaders)
        if line is None:
            return -1
        if not line:
            self.complete = True
            return after
        field = TRAILER_LINE.fullmatch(line)
        if field is None or field[1].lower() in FORBIDDEN_TRAILERS:
            raise InvalidTrailer(excerpt(line))
        self.trailer_size += len(line)
        if len(self.trailers) >= policy.max_fields or self.trailer_size > policy.max_head:
            raise LimitRequestHeaders("in the trailer section")
        name, value = field[1].decode("latin-1"), field[2].strip(b" \t").decode("latin-1")
        self.trailers.append((name.upper(), value))
        return after

    @staticmethod
    def take_line(
        data: bytes,
        position: int,
        malformed: type[Exception],
        limit: int,
        too_long: type[Exception] | None = None,
    ) -> tuple[bytes | None, int]:
        """The line at `position` without its CRLF, and the position after it."""
        end = data.find(b"\n", position)
        line = (data[position:end] if end >= 0 else data[position:]).removesuffix(b"\r")
        if len(line) > limit:
            raise (too_long or malformed)(f"line of more than {limit} bytes")
        carriage_return = data.find(b"\r", position, end if end >= 0 else None)
        if end < 0:
            if 0 <= carriage_return < len(data) - 1:
                raise malformed(excerpt(line))
            return None, -1
        if carriage_return < 0 or carriage_return != end - 1:
            raise malformed(excerpt(data[position : end + 1]))
        return line, end + 1


class Patience:
    """How long somebody has been waiting for a body; all times are of the clock of who waits.

    A body may pause for `silence` seconds, and after that many in all it must have brought `rate`
    bytes for each further second.
    """

    __slots__ = ("began", "last", "seen")

    def __init__(self) -> None:
        self.began = self.last = 0.0
        self.seen = -1

    def until(self, now: float, received: int, silence: float, rate: int) -> float:
        """The time at which it ends when no more comes, `received` bytes having come by now."""
        if self.seen < 0:
            self.began = now
        if received != self.seen:
            self.seen, self.last = received, now
        deadline = self.last + silence
        return min(deadline, self.began + silence + received / rate) if rate else deadline

    def pause(self, seconds: float) -> None:
        """Nobody waited for so long: it does not count."""
        self.began += seconds
        self.last += seconds


class Body:
    """The content of one body as far as it has arrived."""

    def __init__(self, decoder: Decoder, limit: int) -> None:
        """`limit` is the most bytes of content that are accepted; 0 sets no limit."""
        self.decoder = decoder
        self.limit = limit
        self.pieces: list[bytes | bytearray] = []
        self.buffered = 0
        self.received = 0
        self.complete = decoder.complete
        self.patience = Patience()

    @property
    def trailers(self) -> list[tuple[str, str]]:
        return self.decoder.trailers

    def is_due(self, size: int) -> bool:
        """Whether an application gets what is here, `size` bytes being enough for a beginning."""
        return self.complete or self.buffered >= size

    def feed(self, data: bytes) -> bytes:
        """Take what belongs to the body from `data`; return the rest, which follows the body."""
        content, rest = self.decoder.decode(data)
        self.complete = self.decoder.complete
        if content:
            self.keep(content)
            self.buffered += len(content)
            self.received += len(content)
            if 0 < self.limit < self.received:
                raise LimitRequestBody(f"more than {self.limit} bytes")
        return rest

    def keep(self, content: bytes) -> None:
        if len(content) >= SMALL_PIECE:
            self.pieces.append(content)
        elif self.pieces and isinstance(self.pieces[-1], bytearray):
            self.pieces[-1] += content
        else:
            self.pieces.append(bytearray(content) if self.pieces else content)

    def take_pieces(self) -> list[bytes | bytearray]:
        """Hand out what is buffered and forget it, without making one piece of it."""
        pieces, self.pieces = self.pieces, []
        self.buffered = 0
        return pieces

    def take(self) -> bytes:
        """Hand out what is buffered and forget it."""
        first = self.pieces[0] if len(self.pieces) == 1 else None
        content = first if isinstance(first, bytes) else b"".join(self.pieces)
        self.pieces.clear()
        self.buffered = 0
        return content
