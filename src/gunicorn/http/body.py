"""Request bodies: where one ends, and what is in it (RFC 9112, section 6).

A decoder is fed whatever the network brings and says what of it is content and what comes after
the body. `Body` keeps the content until somebody takes it. Neither waits for anything: more bytes
come when they come, and `complete` says whether any are missing. Neither works for long, either: a
decoder that is `behind` has not looked at all that it was fed, and goes on when it is called again.
"""

from __future__ import annotations

from typing import Protocol

from gunicorn.http.errors import LimitRequestBody

SMALL_PIECE = 4096
"""Pieces of content below this size are appended to one another: an object each would cost more."""


class Decoder(Protocol):
    """Finds the end of one body."""

    complete: bool
    trailers: list[tuple[str, str]]
    behind: bool
    """Whether not all that was fed has been looked at; being fed nothing, it goes on."""

    @property
    def held(self) -> int:
        """Bytes of memory taken by what it was fed and is not content."""

    def decode(self, data: bytes) -> tuple[bytes, bytes]:
        """Return (content, what follows the body), all of `data` being spoken for."""


class LengthDecoder:
    """A body of `length` bytes (RFC 9112, 6.2)."""

    behind = False
    held = 0

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

    @property
    def behind(self) -> bool:
        """Whether `feed` has something to do before more comes."""
        return self.decoder.behind

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
