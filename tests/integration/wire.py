"""A client that speaks HTTP/1.x by hand: it sends what it is told, and believes nothing.

http.client forgives, and cannot pipeline. `Wire` reads one response after the other from one
socket, insists on the framing of RFC 9112, section 6.3, and raises `Truncated` for a response that
ends before its framing says so: what a real client needs to be able to tell.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

from tests.servers import Server


class Truncated(Exception):
    """The connection ended in the middle of a response; `received` are the body's bytes."""

    def __init__(self, received: bytes) -> None:
        super().__init__(f"{len(received)} bytes of the body, then the end")
        self.received = received


@dataclass(frozen=True)
class Answer:
    """One response."""

    status: int
    reason: str
    version: str
    fields: list[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> str | None:
        """The value of a field; AssertionError when it is there twice."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} is there {len(values)} times"
        return values[0] if values else None

    @property
    def closes(self) -> bool:
        """Whether the server says that it closes the connection."""
        return (self.get("Connection") or "").lower() == "close"


class Wire:
    """One connection to a server."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def ask(self, head: str, body: bytes = b"") -> Answer:
        """Send a request, its head with newlines for CRLF, and read the response to it."""
        self.send(render(head) + body)
        return self.answer(head.split(maxsplit=1)[0])

    def get(self, path: str = "/", *fields: str) -> Answer:
        """GET over HTTP/1.1, the connection kept."""
        return self.ask("\n".join([f"GET {path} HTTP/1.1", "Host: a", *fields]))

    def answer(self, method: str = "GET") -> Answer:
        """Read one response; `Truncated` when its body is cut."""
        head = self.head()
        length = head.get("Content-Length")
        if method == "HEAD" or head.status < 200 or head.status in (204, 304):
            return head
        if head.get("Transfer-Encoding") == "chunked":
            assert length is None
            return self.with_body(head, self.chunks())
        if length is not None:
            return self.with_body(head, self.exactly(int(length)))
        assert head.closes, "neither length nor chunks, and the connection stays?"
        return self.with_body(head, self.rest())

    def head(self) -> Answer:
        """Read a response head."""
        line = self.line()
        version, status, reason = line.split(" ", 2)
        fields = []
        while line := self.line():
            name, value = line.split(": ", 1)
            fields.append((name, value))
        return Answer(int(status), reason, version, fields, b"")

    @staticmethod
    def with_body(head: Answer, body: bytes) -> Answer:
        return Answer(head.status, head.reason, head.version, head.fields, body)

    def line(self) -> str:
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Truncated(line)
        return line[:-2].decode("latin-1")

    def exactly(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) < count:
            raise Truncated(data)
        return data

    def chunks(self) -> bytes:
        received = bytearray()
        try:
            while size := int(self.line(), 16):
                received += self.exactly(size)
                assert self.line() == ""
            assert self.line() == "", "a trailer nobody asked for"
        except (Truncated, ConnectionResetError):
            raise Truncated(bytes(received)) from None
        return bytes(received)

    def rest(self) -> bytes:
        """Everything until the end; a reset is no end (RFC 9112, 9.6)."""
        received = bytearray()
        try:
            while data := self.file.read1(65536):
                received += data
        except ConnectionResetError:
            raise Truncated(bytes(received)) from None
        return bytes(received)

    def closed(self) -> bool:
        """Whether the server has nothing more to say; waits for it."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True


def wire(server: Server, timeout: float = 20.0) -> Wire:
    """A new connection to `server`."""
    return Wire(server.connect(timeout))


def render(head: str) -> bytes:
    """A request head, written with plain newlines, as bytes."""
    return head.strip("\n").replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n"


def chunked(pieces: Iterable[bytes]) -> bytes:
    """`pieces` as a body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def one(server: Server, head: str, body: bytes = b"") -> Answer:
    """One request on a connection of its own, which must end when the server says that it does."""
    with contextlib.closing(wire(server)) as client:
        answer = client.ask(head, body)
        if answer.closes:
            assert client.closed()
        return answer
