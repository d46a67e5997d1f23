"""TLS connections: the same, over a stream that has to shake hands first and keeps bytes back."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from gunicorn.workers.client import READING
from gunicorn.workers.connection import Connection
from gunicorn.workers.poller import READ, WRITE

if TYPE_CHECKING:
    from gunicorn.workers.channels import ListenerChannel
    from gunicorn.workers.loop import EventLoop

PLAIN_HTTP_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 46\r\n\r\nThis port speaks HTTPS; use an https:// URL.\r\n"
)


def without_ssl_waits(operation: Callable[..., Any]) -> Callable[..., Any]:
    """`operation` of an SSL socket, raising `BlockingIOError` where a plain one would."""

    def call(data: Any) -> Any:
        try:
            result = operation(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None
        # The sockets of gevent say so when they would have to wait before anything is sent.
        if result == 0:
            raise BlockingIOError
        return result

    return call


class TLSConnection(Connection):
    """One client behind TLS."""

    __slots__ = ("owes_farewell", "shaken")

    plain = False
    sock: ssl.SSLSocket

    def __init__(self, loop: EventLoop, sock: ssl.SSLSocket, peer: Any, server: Any) -> None:
        super().__init__(loop, sock, peer, server)
        self.recv = without_ssl_waits(sock.recv)
        self.send_bytes = without_ssl_waits(sock.send)
        self.shaken = False
        self.owes_farewell = False
        """Whether the end of the stream has yet to be told to the client."""

    def on_event(self, mask: int, /) -> None:
        if not self.shaken:
            self.shake_hands()
            return
        super().on_event(mask)

    def shake_hands(self) -> None:
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            self.want(READ)
        except ssl.SSLWantWriteError:
            self.want(WRITE)
        except OSError as error:
            self.loop.log.debug("TLS handshake with %s failed: %s", self.peer, error)
            self.refuse_handshake(error)
        else:
            self.shaken = self.owes_farewell = True
            self.read()

    def refuse_handshake(self, error: OSError) -> None:
        """Close; a client that speaks plain HTTP is told so in its own language."""
        if getattr(error, "reason", None) == "HTTP_REQUEST":
            # Below TLS, and below whatever class the socket is of.
            self.send_bytes = partial(os.write, self.fd)
            self.recv = partial(os.read, self.fd)
            self.shaken = True
            if self.try_to_send(PLAIN_HTTP_ANSWER):
                self.linger()
            return
        self.close()

    def read(self) -> None:
        super().read()
        # Bytes that are decrypted already do not make the socket readable.
        while self.state == READING and not self.off_since and self.sock.pending():
            super().read()

    def flush(self) -> None:
        super().flush()
        while self.state == READING and not self.off_since and self.sock.pending():
            super().read()

    # The end. A stream that is whole ends with close_notify, one that is cut without.

    def linger(self) -> None:
        self.say_farewell()
        super().linger()

    def close(self) -> None:
        self.say_farewell()
        super().close()

    def abort(self) -> None:
        self.owes_farewell = False
        super().abort()

    def say_farewell(self) -> None:
        """Send close_notify, and do not wait for the client's (RFC 8446, 6.1)."""
        if not self.owes_farewell:
            return
        self.owes_farewell = False
        try:
            self.sock.unwrap()
        except ssl.SSLWantReadError:
            # It is out; the client's own has not come.
            return
        except OSError as error:
            self.loop.log.debug("No farewell to %s: %s", self.peer, error)


def acceptor(
    loop: EventLoop, cfg: Any, context: Callable[[], ssl.SSLContext]
) -> Callable[[ListenerChannel], None]:
    """What accepts a client of `loop` that is to speak TLS, with what `context` gives."""
    at_once: bool = cfg.do_handshake_on_connect
    suppress_ragged_eofs: bool = cfg.suppress_ragged_eofs

    def accept(listener: ListenerChannel) -> None:
        plain, peer = listener.sock.accept()
        plain.setblocking(False)
        try:
            sock = context().wrap_socket(
                plain,
                server_side=True,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=suppress_ragged_eofs,
            )
        except OSError:
            plain.close()
            raise
        loop.admit(TLSConnection(loop, sock, peer, listener.address), at_once=at_once)

    return accept
