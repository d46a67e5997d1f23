"""Applications that take the client's socket over, through `environ["gunicorn.socket"]`.

WebSocket libraries answer an upgrade themselves and then speak another protocol on the
connection, from within the application's call. What they find in the environ is a `LentSocket`:
it behaves as the socket, and tells the worker at the first use that the connection is no longer
HTTP. From then on the worker neither reads nor writes it; when the application returns, it closes
the connection. An application that wants to keep the socket for longer detaches it.

Questions (addresses, options, the certificate, the descriptor's number) do not take a socket over,
and neither does peeking at it: some applications find out so whether their client is still there.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
from collections.abc import Callable
from typing import Any

_QUESTIONS = """
family type proto timeout context server_hostname server_side session session_reused
fileno getpeername getsockname getsockopt gettimeout getblocking get_inheritable
getpeercert cipher shared_ciphers version selected_alpn_protocol compression
get_channel_binding pending
"""
QUESTIONS = frozenset(_QUESTIONS.split())
"""What may be asked of a socket without taking it."""

GOING_AWAY = b"\x88\x02\x03\xe9"
"""A WebSocket close frame of a server that stops: 1001, RFC 6455, 7.4.1."""


class LentSocket:
    """The client's socket as the application sees it.

    `taken` is called once, before the first use. It returns the socket, which waits now as the
    worker class has sockets wait, and the bytes that were received behind the request's head.
    """

    def __init__(
        self, sock: socket.socket, taken: Callable[[], tuple[socket.socket, bytes]]
    ) -> None:
        self._sock = sock
        self._taken: Callable[[], tuple[socket.socket, bytes]] | None = taken
        self._received = b""
        self._sending = 0
        self._farewells: list[bytes] = []
        """What is to be sent before the end of the stream."""

    @property  # type: ignore[misc] # so that it passes for what it stands for
    def __class__(self) -> type:
        kind = type(self._sock)
        # A worker may have its sockets from before those of the standard library were patched.
        return socket.socket if kind.__name__ == "socket" else kind

    def __repr__(self) -> str:
        return f"<{'taken' if self.was_taken else 'untouched'} {self._sock!r}>"

    @property
    def was_taken(self) -> bool:
        """Whether the application has used the socket."""
        return self._taken is None

    def _take(self) -> socket.socket:
        taken, self._taken = self._taken, None
        if taken is not None:
            self._sock, self._received = taken()
        return self._sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock if name in QUESTIONS else self._take(), name)

    # Receiving: first what the worker had received already.

    def recv(self, size: int, flags: int = 0) -> bytes:
        """See socket.recv."""
        if flags & socket.MSG_PEEK and not self.was_taken:
            return self._sock.recv(size, flags)
        sock = self._take()
        if not self._received:
            return sock.recv(size, flags)
        data = self._received[:size]
        if not flags & socket.MSG_PEEK:
            self._received = self._received[size:]
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """See socket.recv_into."""
        sock = self._take()
        if not self._received:
            return sock.recv_into(buffer, nbytes, flags)
        view = memoryview(buffer).cast("B")
        data = self.recv(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def makefile(self, mode: str = "r", buffering: int | None = None, **text: Any) -> Any:
        """See socket.makefile."""
        sock = self._take()
        if not self._received:
            return sock.makefile(mode, buffering, **text)  # type: ignore[call-overload] # passed on
        raw = _ReadAhead(self)
        if buffering == 0:
            return raw
        size = buffering if buffering and buffering > 1 else io.DEFAULT_BUFFER_SIZE
        reads, writes = "r" in mode or "w" not in mode, "w" in mode
        binary: Any = (
            io.BufferedRWPair(raw, raw, size)
            if reads and writes
            else io.BufferedWriter(raw, size)
            if writes
            else io.BufferedReader(raw, size)
        )
        return binary if "b" in mode else io.TextIOWrapper(binary, **text)

    # Sending: a frame that is half sent must not be followed by one of ours.

    def send(self, data: Any, flags: int = 0) -> int:
        """See socket.send; where it would wait, it sends everything, as send(2) does.

        The sockets of green threads return after what the kernel took, which libraries do not
        expect of a socket that waits.
        """
        sock = self._take()
        if not flags and sock.gettimeout() is None:
            self.sendall(data)
            return memoryview(data).nbytes
        return sock.send(data, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """See socket.sendall."""
        sock = self._take()
        self._sending += 1
        try:
            sock.sendall(data, flags)
        finally:
            self._sending -= 1
            if self._farewells:
                self._bid_farewell()

    # The worker stops

    def go_away(self, *, websocket: bool) -> None:
        """Let the application see the end of the stream, and a WebSocket client a close frame.

        When a thread is sending, this comes after that.
        """
        self._farewells.append(GOING_AWAY if websocket else b"")
        self._bid_farewell()

    def _bid_farewell(self) -> None:
        with contextlib.suppress(OSError, IndexError):
            if self._sending:
                return
            frame = self._farewells.pop()
            descriptor = os.dup(self._sock.fileno())
            # Of the descriptor, as an SSL socket's own method would also undo its TLS.
            with socket.socket(fileno=descriptor) as sock:
                if frame:
                    self._sock.send(frame)
                sock.shutdown(socket.SHUT_RD)


class _ReadAhead(io.RawIOBase):
    """The stream of a socket whose first bytes were received already."""

    def __init__(self, lent: LentSocket) -> None:
        self.lent = lent

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self.lent.recv_into(buffer)

    def write(self, data: Any, /) -> int:
        return self.lent.send(data)


def is_websocket(variables: dict[str, Any]) -> bool:
    """Whether a request asks for the WebSocket protocol (RFC 6455, 4.1)."""
    return bool(variables.get("HTTP_UPGRADE", "").lower() == "websocket")


def was_taken(variables: dict[str, Any]) -> bool:
    """Whether the application has taken the socket of the request with these variables."""
    lent = variables.get("gunicorn.socket")
    return type(lent) is LentSocket and lent.was_taken
