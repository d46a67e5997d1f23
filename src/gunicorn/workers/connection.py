"""A client connection as the event loop drives it: bytes between a socket and the protocol.

A connection never waits for its client. It is READING until a request is complete, then the
application answers, and if the kernel does not take the whole response it is SENDING, its outbox
being emptied by the loop. When it is refused it is LINGERING: the answer is out, and what the
client still sends is read and thrown away for a while, since closing a socket with unread bytes
would destroy the answer (RFC 9112, 9.6).

`deadline` is a time of the loop's clock. It is looked at twice a second, so setting it is one
store and costs no timer.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn.http.connection import BODY, BUSY, CONTINUE, HTTPConnection
from gunicorn.http.errors import BodyTimeout, HTTPError, IncompleteBody, RequestTimeout
from gunicorn.http.request import Request
from gunicorn.http.response import CLOSE, error_page
from gunicorn.workers.outbox import FileRange, Outbox
from gunicorn.workers.poller import READ, WRITE
from gunicorn.workers.room import SMALL
from gunicorn.workers.spool import SpooledBody
from gunicorn.wsgi.environ import connection_variables
from gunicorn.wsgi.response import ClientDisconnected, Response

if TYPE_CHECKING:
    from gunicorn.workers.loop import EventLoop
    from gunicorn.wsgi.response import FileDone

LINGER_TIME = 5.0
"""Seconds for which a refused client may go on sending."""

SPOOL_AFTER = 1.0
"""Seconds after which a large response is in files, if its client has not taken it until then."""

RESET = struct.pack("ii", 1, 0)


READING, SENDING, LINGERING, CLOSED = range(4)

RECEIVE_SIZE = 64 * 1024
"""Bytes asked of the kernel at once where a head is expected."""

BODY_RECEIVE_SIZE = 128 * 1024
"""Bytes asked for in the middle of a request; buffers beyond this size cost more than calls."""

BODY_SHARE = 1024 * 1024
"""Bytes of a body that are received, if they are there, before others have their turn."""


IN_SUBCLASSES: tuple[str, ...] = tuple("")
"""Slots of a class whose attributes are declared here and kept by its subclasses."""


class ConnectionLife:
    """What a connection does, wherever it keeps its attributes.

    It is a `Sink` and `Source` for the application's response and input.
    """

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
    calm: bool
    """Whether the next byte will be the first of a request head, and nothing is queued."""
    fresh: bool
    """Whether not a byte of the next request has been received."""
    used: bool
    """Whether a request has been answered on this connection."""

    can_send_files = True
    plain = True
    """Whether the kernel may be given a response in other ways than by `send`."""

    def open(self, loop: EventLoop, sock: socket.socket, peer: Any, server: Any) -> None:
        """Take on an accepted socket; `peer` and `server` are the addresses of its ends."""
        variables = connection_variables(
            loop.variables,
            server=server,
            peer=peer,
            socket=loop.lend(self, sock),
            secure=loop.secure,
        )
        variables["wsgi.early_hints"] = self.send_early_hints
        self.loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.http = HTTPConnection(loop.parser, loop.policy, variables, peer, loop.new_body)
        self.recv = sock.recv
        self.send_bytes = sock.send
        self.outbox = Outbox(self.plain and loop.uses_sendfile, loop.memory_room)
        self.request = self.response = None
        self.interest = 0
        self.state = READING
        self.calm = self.http.at_rest
        self.fresh = True
        self.used = False
        self.deadline = loop.now + loop.timeouts.header

    # Events

    def on_event(self, _mask: int, /) -> None:
        """The socket is ready: go on where this connection is."""
        if self.state == READING:
            self.read()
        else:
            self.go_on()

    def read(self) -> None:
        if self.http.state == BODY:
            self.read_body()
            return
        try:
            data = self.recv(RECEIVE_SIZE)
        except BlockingIOError:
            self.wait_for_data()
        except OSError as error:
            self.fail(error)
        else:
            self.take(data)

    def read_body(self) -> None:
        """Receive what there is of a body, up to a fair share."""
        receive = self.http.receive
        request = None
        share = BODY_SHARE
        try:
            while True:
                data = self.recv(BODY_RECEIVE_SIZE)
                if not data:
                    self.on_eof()
                    return
                request = receive(data)
                share -= len(data)
                if request is not None or len(data) < BODY_RECEIVE_SIZE or share <= 0:
                    break
        except HTTPError as error:
            self.refuse(error)
            return
        except BlockingIOError:
            # That was all.
            pass
        except OSError as error:
            self.fail(error)
            return
        self.serve_all(request)

    def go_on(self) -> None:
        """The socket is ready for what this connection does instead of reading requests."""
        if self.state == SENDING:
            self.flush()
        elif self.state == LINGERING:
            self.discard()

    def on_deadline(self) -> None:
        """Time is up for whatever this connection was waiting for."""
        if self.state in (READING, SENDING):
            # It may have come in the same moment, or while the application ran.
            self.on_event(READ)
            if self.deadline > self.loop.now:
                return
        if self.state == SENDING and self.spool_rest():
            return
        self.give_up("the request is not complete")

    def give_up(self, reason: str) -> None:
        """Part with a client that took too long; it is told the `reason` where HTTP has a way."""
        if self.state == SENDING:
            self.loop.log.debug("Client %s does not read its response", self.peer)
            self.abort()
        elif self.state == READING and not self.fresh and not self.http.idle:
            self.refuse(RequestTimeout(reason))
        else:
            self.close()

    def make_way(self) -> None:
        """Close, for others need the place; a request that has come by now is answered first."""
        if self.state == READING and self.http.idle:
            self.on_event(READ)
            if self.state != READING or not self.http.idle:
                return
        self.give_up("too slow while others are waiting")
        # There is no time to linger.
        self.close()

    @property
    def waits_since(self) -> float | None:
        """When the client last did what was expected of it; None while nothing is.

        The first byte of a head counts, and each sign that a response is being read, but not the
        bytes of a request that trickles.
        """
        timeouts = self.loop.timeouts
        if self.state == SENDING:
            return self.deadline - (timeouts.send if self.outbox.settled else SPOOL_AFTER)
        if self.state == LINGERING:
            return self.deadline - LINGER_TIME
        if self.http.request is None:
            return self.deadline - timeouts.header
        return None if self.http.state == BUSY else self.http.body.patience.began

    @property
    def stands_still_since(self) -> float | None:
        """When a client last read or sent of what is in files for it; None where nothing is."""
        if self.state == SENDING:
            return self.waits_since if self.loop.response_spool.backlog(self.outbox) else None
        if self.state == READING and self.http.state == BODY:
            body = self.http.body
            return body.patience.last if isinstance(body, SpooledBody) and body.spooled else None
        return None

    def fail(self, error: OSError) -> None:
        """The connection is broken."""
        self.loop.log.debug("Client %s: %s", self.peer, error)
        self.close()

    def take(self, data: bytes) -> None:
        """Bytes have arrived; none means that no more will."""
        if not data:
            self.on_eof()
            return
        self.calm = False
        try:
            request = self.http.receive(data)
        except HTTPError as error:
            self.refuse(error)
            return
        self.serve_all(request)

    def begin(self, request: Request, data: bytes) -> None:
        """Go on from a head that was read from the beginning of `data`."""
        self.calm = False
        try:
            ready = self.http.begin(request, data)
        except HTTPError as error:
            self.refuse(error)
            return
        self.serve_all(ready)

    def serve_all(self, request: Request | None) -> None:
        """Serve `request` and those that have come behind it, then wait for more."""
        try:
            while request is not None:
                request = self.serve(request)
        except HTTPError as error:
            self.refuse(error)
            return
        if self.state == READING:
            self.wait_for_data()

    def advance(self, response: Response) -> None:
        """Go on after a response that the application is done with."""
        try:
            request = self.settle(response)
        except HTTPError as error:
            self.refuse(error)
            return
        self.serve_all(request)

    def on_eof(self) -> None:
        """The client has sent its last byte."""
        if not self.fresh and not self.http.idle:
            self.loop.log.debug("Client %s closed in the middle of a request", self.peer)
        self.close()

    # Requests and responses

    def serve(self, request: Request) -> Request | None:
        """Answer one request; return the next one if it is there already."""
        self.request = request
        return self.settle(self.loop.handle(request, self, self))

    def settle(self, response: Response) -> Request | None:
        """The application is done; what of its response is queued is left to the loop."""
        if self.outbox:
            self.response = response
            self.state = SENDING
            self.want(WRITE)
            large = self.outbox.size > self.loop.response_buffer_size
            self.deadline = monotonic() + (SPOOL_AFTER if large else self.loop.timeouts.send)
            self.outbox.settled = not large
            if self.outbox.is_pressed:
                self.move_rest()
            return None
        return self.after(response)

    def after(self, response: Response) -> Request | None:
        """The response has left: keep the connection or not."""
        # The deadline is of the time before the application ran, and a tick would act on it.
        self.deadline = inf
        now = self.loop.refresh_clock()
        self.request = None
        if response.keep_alive and not self.http.unread_body and self.state != CLOSED:
            self.deadline = now + self.loop.timeouts.keepalive
            self.fresh = True
            self.used = True
            return self.http.next_request()
        if response.aborted and response.delimiting == CLOSE:
            self.abort()
        elif self.http.unread_body or self.http.buffer:
            self.linger()
        else:
            self.close()
        return None

    def wait_for_data(self) -> None:
        """Let the loop tell when there is more to read, and set how long that may take."""
        if self.interest != READ:
            self.want(READ)
        http = self.http
        self.calm = http.at_rest
        if http.idle:
            return
        if self.fresh:
            self.fresh = False
            self.deadline = self.loop.now + self.loop.timeouts.header
        if http.request is not None:
            self.deadline = self.patience_ends(self.loop.now)
            if http.awaiting_continue:
                http.awaiting_continue = False
                self.try_to_send(CONTINUE)
        elif http.partial is not None and len(http.partial.data) > SMALL:
            self.loop.large_heads.note(self, len(http.partial.data))

    def patience_ends(self, now: float) -> float:
        """When the body has to have gone on."""
        timeouts = self.loop.timeouts
        body = self.http.body
        return body.patience.until(now, body.received, timeouts.body, timeouts.min_body_rate)

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

    # Sink

    def send_rest(self, data: bytes, sent: int, error: int) -> None:
        """The kernel took `sent` bytes of `data`, or -1 when there was an `error`."""
        if sent < 0 and error not in (errno.EAGAIN, errno.EINTR):
            self.loop.log.debug("Client %s: %s", self.peer, os.strerror(error))
            self.close()
            return
        self.queue(memoryview(data)[max(sent, 0) :])

    def send_late(self, data: bytes, sent: int, error: int) -> None:
        """The same for a response that was held back, in whose place a kept connection stands."""
        self.send_rest(data, sent, error)
        if self.outbox:
            self.settle(self.loop.handler.response_class(None, self, self.loop.renderer, True))

    def send(self, data: bytes) -> None:
        if self.outbox:
            self.queue(data)
            return
        try:
            sent = self.send_bytes(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ClientDisconnected(str(error)) from None
        if sent != len(data):
            self.queue(memoryview(data)[sent:])

    def send_parts(self, head: bytes, body: bytes) -> None:
        if self.outbox or not self.plain:
            self.send(head)
            self.send(body)
            return
        try:
            sent = self.sock.sendmsg((head, body))
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ClientDisconnected(str(error)) from None
        if sent < len(head):
            self.queue(memoryview(head)[sent:])
            sent = len(head)
        if sent < len(head) + len(body):
            self.queue(memoryview(body)[sent - len(head) :])

    def send_file(
        self, head: bytes, descriptor: int, offset: int, count: int, done: FileDone
    ) -> None:
        self.send(head)
        # The application may close its file as soon as it is collected.
        descriptor = os.dup(descriptor)

        def finished(sent: int, *, lost: bool) -> None:
            os.close(descriptor)
            done(sent, lost=lost)

        self.outbox.add_file(FileRange(descriptor, offset, count, finished))
        try:
            self.outbox.flush(self.fd, self.send_bytes)
        except BlockingIOError:
            return
        except OSError as error:
            self.loop.log.debug("Client %s: %s", self.peer, error)
            self.abort()

    def queue(self, data: bytes | memoryview) -> None:
        """Keep `data` for later, in memory or in a file."""
        self.calm = False
        if self.is_behind:
            self.catch_up()
            if self.spool(data):
                return
        elif self.outbox.is_pressed and self.loop.response_spool.keep(self.outbox, data):
            return
        self.outbox.add(data)

    @property
    def is_behind(self) -> bool:
        """Whether the client left so much unread that no more is kept in memory."""
        outbox = self.outbox
        return outbox.size > self.loop.response_buffer_size or outbox.ends_in_file

    def catch_up(self) -> bool:
        """Send what the client takes now; False when that is nothing."""
        try:
            return self.outbox.flush(self.fd, self.send_bytes) > 0
        except BlockingIOError:
            return False
        except OSError as error:
            raise ClientDisconnected(str(error)) from None

    def spool(self, data: bytes | memoryview) -> bool:
        """Keep `data` in a file, or wait for the client where there is no room for it there.

        False when there is room in memory again.
        """
        loop = self.loop
        deadline = monotonic() + loop.timeouts.send
        while self.is_behind:
            if loop.response_spool.keep(self.outbox, data):
                return True
            if self.outbox.size <= loop.response_buffer_size:
                return False
            # Others may leave some room meanwhile.
            if not self.wait_once(select.POLLOUT, deadline):
                if monotonic() >= deadline:
                    raise ClientDisconnected("it does not read")
            elif self.catch_up():
                deadline = monotonic() + loop.timeouts.send
        return False

    def send_early_hints(self, fields: list[tuple[str, str]]) -> None:
        """`wsgi.early_hints`: send 103 Early Hints with `fields` (RFC 8297)."""
        request = self.request
        if request is None or request.version < (1, 1):
            return
        # Whether the connection is kept, the final response will say.
        hints = [field for field in fields if str(field[0]).lower() != "connection"]
        rendered = self.loop.renderer.fields("103 Early Hints", hints)
        if rendered.dropped:
            self.loop.handler.warn_of_dropped(rendered.dropped)
        head, _, _, _ = self.loop.renderer.head(rendered, request.method, (1, 1), True, None)
        self.send(head)

    # Source

    def receive_more(self) -> None:
        """Wait for more of a body that an application reads while it arrives."""
        if self.http.awaiting_continue:
            self.http.awaiting_continue = False
            self.send(CONTINUE)
        started = monotonic()
        patience = self.http.body.patience
        if patience.last:
            # Since then the client waited for the application, not the other way round.
            patience.pause(started - patience.last)
        deadline = self.patience_ends(started)
        while True:
            try:
                data = self.recv(RECEIVE_SIZE)
                break
            except BlockingIOError:
                self.wait(select.POLLIN, deadline, BodyTimeout("the client fell silent"))
            except OSError as error:
                raise IncompleteBody(str(error)) from None
        if not data:
            raise IncompleteBody("the client closed the connection")
        self.loop.notify()
        self.http.receive_body(data)
        self.patience_ends(monotonic())

    def wait(self, events: int, deadline: float, late: Exception) -> None:
        """Wait for this one client, telling the arbiter each second that this is no hang."""
        while monotonic() < deadline:
            if self.wait_once(events, deadline):
                return
        raise late

    def wait_once(self, events: int, deadline: float) -> bool:
        """Wait for this one client for a second at most; whether it is ready."""
        if self.loop.wait_for(self, events, min(max(deadline - monotonic(), 0.0), 1.0)):
            return True
        self.loop.notify()
        return False

    # The rest of a response, and the end

    def flush(self) -> None:
        """Send more of the response that the client was slow to take."""
        try:
            self.outbox.flush(self.fd, self.send_bytes)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(error)
            return
        if self.outbox.settled:
            self.deadline = self.loop.now + self.loop.timeouts.send
        if self.outbox or self.state == CLOSED:
            return
        response, self.response = self.response, None
        assert response is not None
        self.state = READING
        self.advance(response)

    def spool_rest(self) -> bool:
        """Put what is left of a large response in files; False when this has been done."""
        if self.outbox.settled:
            return False
        self.move_rest()
        return True

    def move_rest(self) -> None:
        """Put in files what is left of a response, as far as there is room for it."""
        self.outbox.settled = True
        self.loop.response_spool.move(self.outbox)
        self.deadline = monotonic() + self.loop.timeouts.send

    def want(self, interest: int) -> None:
        """Tell the loop which readiness to report."""
        if self.interest != interest and self.state != CLOSED:
            self.loop.watch(self, interest)
            self.interest = interest

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

    def close(self) -> None:
        """Give up the socket and everything that waits for it."""
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self.calm = False
        self.loop.forget(self)
        # The environ leads back here, by way of `wsgi.early_hints`.
        self.request = self.http.request = None
        self.http.variables = {}
        self.sock.close()
        self.outbox.clear()


class Connection(ConnectionLife):
    """One client."""

    __slots__ = (
        "calm",
        "deadline",
        "fd",
        "fresh",
        "http",
        "interest",
        "loop",
        "outbox",
        "peer",
        "recv",
        "request",
        "response",
        "send_bytes",
        "sock",
        "state",
        "used",
    )

    def __init__(self, loop: EventLoop, sock: socket.socket, peer: Any, server: Any) -> None:
        self.open(loop, sock, peer, server)
