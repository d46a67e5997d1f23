"""The socket of a client: what a connection is made of, and the ways in which it ends.

It is closed when everything has been said, aborted when what was said is not the whole, and
lingers when the client has been refused and is still sending: closing a socket with unread bytes
would destroy the answer (RFC 9112, 9.6).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn.http.connection import HTTPConnection
from gunicorn.http.errors import HTTPError
from gunicorn.http.response import error_page
from gunicorn.workers.outbox import Outbox
from gunicorn.workers.poller import READ

if TYPE_CHECKING:
    from gunicorn.workers.loop import EventLoop
    from gunicorn.wsgi.response import Response

LINGER_TIME = 5.0
"""Seconds for which a refused client may go on sending."""

SPOOL_AFTER = 1.0
"""Seconds after which a large response is in files, if its client has not taken it until then."""

RESET = struct.pack("ii", 1, 0)

READING, SENDING, LINGERING, CLOSED = range(4)

RECEIVE_SIZE = 64 * 1024
"""Bytes asked of the kernel at once where a head is expected."""


IN_SUBCLASSES: tuple[str, ...] = tuple("")
"""Slots of a class whose attributes are declared here and kept by its subclasses."""


class ClientSocket:
    """The attributes of a connection, wherever it keeps them, and what ends it."""

    __slots__ = IN_SUBCLASSES

    loop: EventLoop
    sock: socket.socket
    fd: int
    http: HTTPConnection
    peer: Any
    request: Any
    response: Response | None
    outbox: Outbox
    recv: Callable[[int], bytes]
    send_bytes: Callable[[bytes | memoryview], int]
    deadline: float
    state: int
    interest: int
    """The readiness that the loop reports; 0 before it does."""
    off_since: float
    """Since when this connection has waited for its next turn; 0 when it does not."""
    begun: bool
    """Whether the response to the request that is served has begun."""
    calm: bool
    """Whether the next byte will be the first of a request head, and nothing is queued."""
    stuck_at: float
    """Since when nothing has left of what is queued; 0 where that is not so."""
    left_at: float
    """When the client was found to have closed its side, if nothing was sent since; or 0."""
    fresh: bool
    """Whether not a byte of the next request has been received."""
    used: bool
    """Whether a request has been answered on this connection."""

    can_send_files = True
    plain = True
    """Whether the kernel may be given a response in other ways than by `send`."""

    def want(self, interest: int) -> None:
        """Tell the loop which readiness to report."""
        raise NotImplementedError

    def close(self) -> None:
        """Give up the socket and everything that waits for it."""
        raise NotImplementedError

    def refuse(self, error: HTTPError) -> None:
        """Answer a request that breaks a rule, and hear no more of this client."""
        self.loop.log.warning(
            "Invalid request from ip=%s: %s", self.http.variables["REMOTE_ADDR"], error
        )
        body = error_page(error.status, error.reason, str(error))
        head = self.loop.renderer.fields(
            f"{error.status} {error.reason}", [("Content-Type", "text/html; charset=utf-8")]
        )
        data, _, _, _ = self.loop.renderer.head(head, "GET", (1, 1), False, len(body))
        self.http.forget()
        if self.try_to_send(data + body):
            self.linger()

    def try_to_send(self, data: bytes) -> bool:
        """Send something small of the server's own; False when the client is gone."""
        if self.state == CLOSED:
            return False
        try:
            self.send_bytes(data)
        except BlockingIOError:
            # The client reads nothing: what it does not read it does not miss.
            return True
        except OSError:
            self.close()
            return False
        return True

    def fail(self, error: OSError) -> None:
        """The connection is broken."""
        self.loop.log.debug("Client %s: %s", self.peer, error)
        self.close()

    def linger(self) -> None:
        """Close in two steps, so that the answer outlives what the client is still sending."""
        if self.state == CLOSED:
            return
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self.state = LINGERING
        self.deadline = monotonic() + LINGER_TIME
        self.want(READ)

    def discard(self) -> None:
        try:
            data = self.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()

    def abort(self) -> None:
        """Cut the connection with a reset, so that no one takes its response for whole."""
        if self.state == CLOSED:
            return
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        except OSError as error:
            self.loop.log.debug("Client %s: %s", self.peer, error)
        self.close()
