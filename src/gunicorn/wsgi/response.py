"""An application's response on its way to the client (PEP 3333, "The start_response() Callable").

The head leaves with the first byte of the body, or at the end when there is none, so that an
application may change its mind until then and a short response is one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol

from gunicorn.http.response import (
    CHUNKED,
    CLOSE,
    LAST_CHUNK,
    LENGTH,
    NO_BODY,
    Fields,
    InvalidResponse,
    ResponseRenderer,
    chunk,
    has_no_body,
)

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class FileDone(Protocol):
    """What is told of the end of a file's transfer."""

    def __call__(self, sent: int, *, lost: bool) -> None:
        """`sent` bytes have left; `lost` says that the client is gone, or was given up."""


class Sink(Protocol):
    """Takes the bytes of a response to the client.

    Every method raises `ClientDisconnected` when the client is gone or does not read.
    """

    def look(self) -> None:
        """See whether the client is there, for who has nothing to send."""

    def notify(self) -> None:
        """The application gets on: something of its response was sent."""

    def send(self, data: bytes) -> None:
        """Send or keep `data`; may wait for a client that is behind, never for the last bytes."""

    def send_parts(self, head: bytes, body: bytes) -> None:
        """The same for two pieces, without joining them."""

    def send_file(
        self, head: bytes, descriptor: int, offset: int, count: int, done: FileDone
    ) -> None:
        """Send `count` bytes of a file; `done` is called when it is over."""

    can_send_files: bool
    """Whether `send_file` may be used."""

    begun: bool
    """Whether the head of the response has been made; set by the response."""


class ClientDisconnected(ConnectionError):
    """The client closed the connection, or stopped reading for too long."""


JOIN_BELOW = 16 * 1024
"""Bodies up to this many bytes are joined to their head: a copy is cheaper than two buffers."""


IN_SUBCLASSES: tuple[str, ...] = tuple("")
"""Slots of a class whose attributes are declared here and kept by its subclasses."""


class ResponseLife:
    """What a response does, wherever it keeps its attributes.

    Applications see `start_response` and `write`, hooks and logs the rest.
    """

    __slots__ = IN_SUBCLASSES

    request: Any
    sink: Sink
    renderer: ResponseRenderer
    keep_alive: bool
    """Whether the connection can be used again after this response."""
    status: str
    headers: Sequence[tuple[str, str]]
    fields: Fields | None
    headers_sent: bool
    sent: int
    """Bytes of the body handed to the connection."""
    response_length: int | None
    """Content-Length, where it is known."""
    remaining: int | None
    delimiting: int
    aborted: bool
    short: bool
    """Whether the body ended before its announced length."""

    @property
    def status_code(self) -> int:
        """The status as a number; 0 before `start_response` is called."""
        return int(self.status[:3] or 0)

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
    ) -> Callable[[bytes], None]:
        """Take status and fields; returns `write`."""
        if exc_info is not None:
            try:
                if self.headers_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # breaks the circle of traceback and frame, as PEP 3333 asks
        elif self.fields is not None:
            raise AssertionError("start_response() called again without exc_info")
        if not isinstance(status, str):
            raise InvalidResponse(f"status {status!r} is not a str")
        if status.startswith("1") and not status.startswith("101"):
            # RFC 9110, 15.2: the client would go on waiting for the response proper.
            raise InvalidResponse(f"status {status!r} is not that of a final response")
        self.fields = self.renderer.fields(status, headers)
        self.status = status
        self.headers = headers
        return self.write

    # Sending

    def take_head(self, body_length: int | None) -> bytes:
        """Fix how the body is delimited and return the head."""
        fields = self.fields
        if fields is None:
            raise AssertionError("the application did not call start_response()")
        request = self.request
        if request.body is not None and not request.body.complete:
            # The rest may never be read, and where it ends the next request would begin.
            self.keep_alive = False
        data, self.delimiting, length, self.keep_alive = self.renderer.head(
            fields, request.method, request.version, self.keep_alive, body_length
        )
        self.response_length = length
        self.remaining = length
        self.headers_sent = self.sink.begun = True
        return data

    def send_whole(self, body: bytes) -> None:
        """Send a response whose body is one piece of bytes."""
        if self.headers_sent:
            if body:
                self.write(body)
            return self.finish()
        if not isinstance(body, bytes):
            raise InvalidResponse(f"the body is {type(body).__name__}, not bytes")
        head = self.take_head(len(body))
        delimiting = self.delimiting
        if delimiting == NO_BODY or not body:
            self.sink.send(head)
            if not body:
                self.finish_length()
            return None
        if delimiting == LENGTH and self.remaining != len(body):
            body = self.cut(body)
        self.sent = len(body)
        if self.sent <= JOIN_BELOW:
            self.sink.send(head + body)
        else:
            self.sink.send_parts(head, body)
        if delimiting == LENGTH:
            self.finish_length()
        return None

    def send_pieces(self, pieces: Sequence[bytes]) -> None:
        """Send a body that is all there, in several pieces."""
        try:
            body = b"".join(pieces)
        except TypeError:
            raise InvalidResponse("the body is not made of bytes") from None
        self.send_whole(body)

    def write(self, data: bytes) -> None:
        """Send one block of the body (PEP 3333, "The write() Callable").

        Raises `ClientDisconnected` when the client is gone.
        """
        if self.send_block(data):
            self.sink.notify()
        else:
            self.sink.look()

    def send_block(self, data: bytes) -> bool:
        """Send one block of the body; False when nothing of it is to be sent."""
        if not isinstance(data, bytes):
            raise InvalidResponse(f"a block of the body is {type(data).__name__}, not bytes")
        if not data and self.headers_sent:
            return False
        head = b"" if self.headers_sent else self.take_head(None)
        delimiting = self.delimiting
        if delimiting == NO_BODY:
            data = b""
        elif delimiting == LENGTH:
            data = self.cut(data)
        self.sent += len(data)
        if delimiting == CHUNKED and data:
            data = chunk(data)
        if head and len(data) > JOIN_BELOW:
            self.sink.send_parts(head, data)
        elif head or data:
            self.sink.send(head + data)
        else:
            return False
        return True

    @property
    def is_bodiless(self) -> bool:
        """Whether nothing of a body will be sent, whatever the application gives."""
        if self.headers_sent:
            return self.delimiting == NO_BODY
        fields = self.fields
        if fields is None:
            return False
        return fields.length == 0 or has_no_body(self.request.method, fields)

    def cut(self, data: bytes) -> bytes:
        """`data` up to the announced length; what is beyond would be read as another response."""
        assert self.remaining is not None
        data = data[: self.remaining]
        self.remaining -= len(data)
        return data

    def finish(self) -> None:
        """Send what ends the response."""
        if not self.headers_sent:
            self.sink.send(self.take_head(0))
        if self.delimiting == CHUNKED:
            self.sink.send(LAST_CHUNK)
        elif self.delimiting == LENGTH:
            self.finish_length()

    def finish_length(self) -> None:
        """A body shorter than announced: only a closed connection tells the client."""
        if self.delimiting == LENGTH and self.remaining and self.sent < (self.response_length or 0):
            self.short = True
            self.keep_alive = False

    def send_file(self, file: tuple[int, int, int], done: Callable[[], None]) -> bool:
        """Let the kernel send `file` (descriptor, offset, bytes); `done` is called at the end.

        Returns False when this response is better written block by block.
        """
        descriptor, offset, available = file
        if self.headers_sent or self.fields is None or not self.sink.can_send_files:
            return False
        announced = self.fields.length
        count = available if announced is None else min(announced, available)
        head = self.take_head(count)
        if self.delimiting not in (LENGTH, CLOSE):
            self.sink.send(head)
            done()
            return True

        def finished(sent: int, *, lost: bool) -> None:
            self.sent = sent
            if lost:
                self.abandon()
            elif self.remaining is not None and sent < self.remaining:
                self.short = True
                self.keep_alive = False
            done()

        self.sink.send_file(head, descriptor, offset, count, finished)
        return True

    def abandon(self) -> None:
        """No more can be said on this connection: its end must tell that the response is cut."""
        self.keep_alive = False
        self.aborted = True


class Response(ResponseLife):
    """One response."""

    __slots__ = (
        "aborted",
        "delimiting",
        "fields",
        "headers",
        "headers_sent",
        "keep_alive",
        "remaining",
        "renderer",
        "request",
        "response_length",
        "sent",
        "short",
        "sink",
        "status",
    )

    def __init__(
        self, request: Any, sink: Sink, renderer: ResponseRenderer, keep_alive: bool
    ) -> None:
        self.request = request
        self.sink = sink
        self.renderer = renderer
        self.keep_alive = keep_alive
        self.status = ""
        self.headers = ()
        self.fields = None
        self.headers_sent = False
        self.sent = 0
        self.response_length = None
        self.remaining = None
        self.delimiting = LENGTH
        self.aborted = False
        self.short = False


def is_complete(result: Any) -> bool:
    """Whether an application's result is a container whose every block is there already."""
    return type(result) is list or type(result) is tuple
