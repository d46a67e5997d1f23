"""Bodies in chunks (RFC 9112, 7.1).

How to think about it. Nearly all chunks are plain: a size, the data, no extension. `take_chunks`
takes those that are whole in one go; it has a compiled twin in `_chunks`. Whatever else there is,
and whatever is wrong, is read element by element, to the letter.

Who sends a body byte by byte makes the server work for each, so what one call does is bounded by
the number of chunks, and a body that is next to nothing but framing is refused in the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gunicorn.http.errors import (
    ChunkMissingTerminator,
    ExcessiveChunkFraming,
    InvalidChunkExtension,
    InvalidChunkSize,
    InvalidTrailer,
    LimitRequestHeaders,
    excerpt,
)
from gunicorn.http.policy import Policy

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
QUOTED_STRING = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'

PLAIN_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
CHUNK_EXT = re.compile(
    rb"(?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)*" % (TOKEN, TOKEN, QUOTED_STRING)
)
TRAILER_LINE = re.compile(rb"(%b):([^\x00-\x08\x0a-\x1f\x7f]*)" % TOKEN)

MAX_CHUNK_LINE = 4096
"""Most bytes in one chunk-size line, extensions included."""

MAX_EXTENSIONS = 16 * 1024
"""Most bytes of chunk extensions in one body: nobody uses them but those who mean harm."""

MAX_FRAMING = 1024 * 1024
"""Bytes of framing (sizes, extensions, line ends) that any body may have."""

FRAMING_RATIO = 4
"""How much more framing than data a body may have beyond that. Chunks of one byte come to 5."""

CHUNKS_AT_ONCE = 1024
"""Chunks that one call looks at: a millisecond's work, or a small part of it where compiled."""

TRAILER_OVERHEAD = 160
"""Bytes of memory that a trailer field takes beside its text."""

FORBIDDEN_TRAILERS = frozenset(
    b"authorization cache-control connection content-encoding content-length content-range"
    b" content-type cookie expect host keep-alive max-forwards pragma proxy-authorization"
    b" proxy-connection range set-cookie te trailer transfer-encoding upgrade".split()
)
"""Fields that frame, route or authenticate a message: too late in a trailer (RFC 9110, 6.5.1)."""

TakeChunks = Callable[[bytes, int, int], tuple[bytes, int, int]]


def take_chunks(data: bytes, position: int, limit: int) -> tuple[bytes, int, int]:
    """The content of the plain chunks that are whole at `position`, their end, and their number.

    At most `limit` of them, and never the last chunk, whose size is 0.
    """
    match = PLAIN_SIZE.match
    pieces: list[bytes] = []
    while len(pieces) < limit:
        size = match(data, position)
        if size is None:
            break
        start = size.end()
        end = start + int(size[1], 16)
        if start == end or data[end : end + 2] != b"\r\n":
            break
        pieces.append(data[start:end])
        position = end + 2
    return b"".join(pieces), position, len(pieces)


class ChunkedDecoder:
    """A body in chunks, read to the letter.

    `pending` holds what was not looked at: a line that is not whole yet, or all that is left when
    the decoder is `behind`. `read` is the method that reads the element which comes next.
    """

    read: Callable[[ChunkedDecoder, bytes, int, list[bytes]], int]

    def __init__(self, policy: Policy, take_chunks: TakeChunks = take_chunks) -> None:
        self.policy = policy
        self.take_chunks = take_chunks
        self.complete = False
        self.behind = False
        self.trailers: list[tuple[str, str]] = []
        self.pending: bytes | bytearray = b""
        self.remaining = 0
        self.extensions = 0
        self.framing = 0
        self.content_size = 0
        self.trailer_size = 0
        self.read = ChunkedDecoder.read_size

    @property
    def held(self) -> int:
        """Bytes of memory taken by what is not content."""
        return len(self.pending) + self.trailer_size + TRAILER_OVERHEAD * len(self.trailers)

    def decode(self, data: bytes) -> tuple[bytes, bytes]:
        """Return (content, what follows the body); see `behind`."""
        if self.pending:
            if self.read is ChunkedDecoder.read_trailer and self.lengthens_line(data):
                return b"", b""
            data = bytes(self.pending) + data
            self.pending = b""
        content: list[bytes] = []
        position = 0
        left = CHUNKS_AT_ONCE
        self.behind = False
        while not self.complete:
            if self.read is ChunkedDecoder.read_size:
                begin = position
                piece, position, taken = self.take_chunks(data, begin, left)
                if taken:
                    content.append(piece)
                    self.content_size += len(piece)
                    self.framing += position - begin - len(piece)
                left -= taken
            # Of what is read to the letter each size, and each trailer, counts.
            left -= self.read in COUNTED
            if left < 0 and position < len(data):
                self.behind = True
                break
            after = self.read(self, data, position, content)
            if after < 0:
                break
            position = after
        if self.framing > max(MAX_FRAMING, FRAMING_RATIO * self.content_size):
            raise ExcessiveChunkFraming(
                f"{self.framing} bytes of framing for {self.content_size} of data"
            )
        if self.complete:
            return b"".join(content), data[position:]
        self.pending = data[position:]
        return b"".join(content), b""

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
        self.framing += after - position
        self.read = ChunkedDecoder.read_data if self.remaining else ChunkedDecoder.read_trailer
        return after

    def read_data(self, data: bytes, position: int, content: list[bytes]) -> int:
        """chunk-data, as much of it as there is."""
        piece = data[position : position + self.remaining]
        if not piece:
            return -1
        content.append(piece)
        self.content_size += len(piece)
        self.remaining -= len(piece)
        if not self.remaining:
            self.read = ChunkedDecoder.read_terminator
        return position + len(piece)

    def read_terminator(self, data: bytes, position: int, _content: list[bytes]) -> int:
        """The CRLF behind chunk-data."""
        found = data[position : position + 2]
        if found == b"\r\n":
            self.framing += 2
            self.read = ChunkedDecoder.read_size
            return position + 2
        if found and found != b"\r":
            raise ChunkMissingTerminator(excerpt(found))
        return -1

    def read_trailer(self, data: bytes, position: int, _content: list[bytes]) -> int:
        """One field line of the trailer section, or the empty line that ends the body."""
        policy = self.policy
        limit = self.max_trailer_line
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

    @property
    def max_trailer_line(self) -> int:
        return self.policy.limit_request_field_size or self.policy.max_head

    def lengthens_line(self, data: bytes) -> bool:
        """Keep `data` if the trailer line that is pending goes on beyond it.

        Nothing is looked at twice, so that a long line may come byte by byte.
        """
        if b"\n" in data or self.behind:
            return False
        if not isinstance(self.pending, bytearray):
            self.pending = bytearray(self.pending)
        line = self.pending
        if (data and line.endswith(b"\r")) or b"\r" in data[:-1]:
            raise InvalidTrailer(excerpt(line))
        line += data
        if len(line) - data.endswith(b"\r") > self.max_trailer_line:
            raise LimitRequestHeaders(f"line of more than {self.max_trailer_line} bytes")
        return True

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


COUNTED = (ChunkedDecoder.read_size, ChunkedDecoder.read_trailer)
"""What a body may have more of than can be read at once."""
