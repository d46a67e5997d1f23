"""A client connection as the event loop drives it: bytes between a socket and the protocol.

What it is made of and how it ends is in `client`, what the application's call does with it in
`call`. Here is the order of things.

A connection never waits for its client. It is READING until a request is complete, then the
application answers, and if the kernel does not take the whole response it is SENDING, its outbox
being emptied by the loop. When it is refused it is LINGERING: the answer is out, and what the
client still sends is read and thrown away for a while, since closing a socket with unread bytes
would destroy the answer (RFC 9112, 9.6).

No client has the worker to itself, however much it has sent: what one of them gets done at a time
is a turn, bounded in requests, bytes and time. Who has more to do then lines up behind the others
(`leave_turn`), and goes on with what is here already, whether or not more arrives.

`deadline` is a time of the loop's clock. It is looked at twice a second, so setting it is one
store and costs no timer.
"""

from __future__ import annotations

import socket
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn.http.connection import BODY, BUSY, CONTINUE, HTTPConnection
from gunicorn.http.errors import HTTPError, RequestTimeout
from gunicorn.http.request import Request
from gunicorn.http.response import CLOSE
from gunicorn.workers.call import CallSide
from gunicorn.workers.client import (
    CLOSED,
    IN_SUBCLASSES,
    LINGERING,
    READING,
    RECEIVE_SIZE,
    SENDING,
    SPOOL_AFTER,
)
from gunicorn.workers.outbox import Outbox
from gunicorn.workers.poller import READ, WRITE
from gunicorn.workers.room import SMALL
from gunicorn.wsgi.environ import connection_variables
from gunicorn.wsgi.response import Response

if TYPE_CHECKING:
    from gunicorn.workers.loop import EventLoop

BODY_RECEIVE_SIZE = 128 * 1024
"""Bytes asked for in the middle of a request; buffers beyond this size cost more than calls."""

BODY_SHARE = 1024 * 1024
"""Bytes of a body that are received, if they are there, before others have their turn."""

TURN_REQUESTS = 16
"""Requests that came together and are answered before others have their turn."""

TURN_TIME = 0.001
"""Seconds after which a turn ends; a request that has begun is finished, however long it takes."""


class ConnectionLife(CallSide):
    """What a connection does, wherever it keeps its attributes.

    It is a `Sink` and `Source` for the application's response and input.
    """

    __slots__ = IN_SUBCLASSES

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
        self.begun = False
        self.stuck_at = self.left_at = 0.0
        self.off_since = 0.0
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
        if self.off_since:
            # Its turn comes.
            return
        state = self.http.state
        if state == BODY:
            self.read_body()
            return
        if state == BUSY:
            # A request that was here when the last turn ended.
            self.serve_all(self.http.request)
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
        line = self.loop.line
        if line.share <= 0.0:
            self.leave_turn()
            return
        http = self.http
        request = None
        share = BODY_SHARE
        began = now = monotonic()
        try:
            while share > 0 and now - began < TURN_TIME:
                data = b"" if http.behind else self.recv(BODY_RECEIVE_SIZE)
                if not data and not http.behind:
                    self.on_eof()
                    return
                request = http.receive(data)
                share -= len(data)
                now = monotonic()
                if request is not None or (len(data) < BODY_RECEIVE_SIZE and not http.behind):
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
        finally:
            line.share -= monotonic() - began
        self.serve_all(request)
        # Bodies of many clients are no reason to miss a tick.
        self.loop.refresh_clock()

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

    def refuse(self, error: HTTPError) -> None:
        # Its head goes with it, while the connection stays for a while.
        self.loop.large_heads.discard(self)
        super().refuse(error)

    def make_way(self) -> None:
        """Close, for others need the place; a request that has come by now is answered first."""
        if self.state == READING and self.http.idle:
            self.on_event(READ)
            if self.state != READING or not self.http.idle:
                return
        self.give_up("too slow while others are waiting")
        # There is no time to linger.
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
        """Serve `request` and those that have come behind it, then wait for more, or a turn."""
        began = self.loop.now
        left = TURN_REQUESTS
        try:
            while request is not None:
                request = self.serve(request)
                if request is not None:
                    left -= 1
                    if not left or self.loop.now - began > TURN_TIME:
                        self.leave_turn()
                        return
        except HTTPError as error:
            self.refuse(error)
            return
        if self.state == READING:
            self.wait_for_data()

    def leave_turn(self) -> None:
        """Go on with what is here when the others have had their turn."""
        self.off_since = monotonic()
        self.calm = False
        # It is the worker that lets this client wait.
        self.deadline = inf
        self.loop.line_up(self)

    def begin_turn(self) -> None:
        """The others have had theirs; the next event is for this connection's own."""
        if self.http.state == BODY:
            self.http.body.patience.pause(monotonic() - self.off_since)
        self.off_since = 0.0

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
        self.begun = False
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
            # Who goes for it is decided elsewhere: this may be a thread of an application.
            self.loop.large_heads.count(self)
            if self.outbox.is_pressed:
                self.move_rest()
            return None
        return self.after(response)

    def send_late(self, data: bytes, sent: int, error: int) -> None:
        """The same for a response that was held back, in whose place a kept connection stands."""
        self.send_rest(data, sent, error)
        if self.outbox:
            self.settle(self.loop.handler.response_class(None, self, self.loop.renderer, True))

    def after(self, response: Response) -> Request | None:
        """The response has left: keep the connection or not."""
        # The deadline is of the time before the application ran, and a tick would act on it.
        self.deadline = inf
        now = self.loop.refresh_clock()
        self.request = None
        if self.loop.large_heads.sizes:
            self.loop.large_heads.discard(self)
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
            if http.behind:
                self.leave_turn()
            self.loop.large_heads.note(self)
        elif http.partial is not None and len(http.partial.data) > SMALL:
            self.loop.large_heads.note(self)

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

    # The socket

    def want(self, interest: int) -> None:
        """Tell the loop which readiness to report."""
        if self.interest != interest and self.state != CLOSED:
            self.loop.watch(self, interest)
            self.interest = interest

    def close(self) -> None:
        """Give up the socket and everything that waits for it."""
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self.calm = False
        self.loop.forget(self)
        # The environ leads back here, by way of `wsgi.early_hints`, and so does a response.
        self.request = self.response = self.http.request = None
        self.http.variables = {}
        self.sock.close()
        self.outbox.clear()


class Connection(ConnectionLife):
    """One client."""

    __slots__ = (
        "begun",
        "calm",
        "deadline",
        "fd",
        "fresh",
        "http",
        "interest",
        "left_at",
        "loop",
        "off_since",
        "outbox",
        "peer",
        "recv",
        "request",
        "response",
        "send_bytes",
        "sock",
        "state",
        "stuck_at",
        "used",
    )

    def __init__(self, loop: EventLoop, sock: socket.socket, peer: Any, server: Any) -> None:
        self.open(loop, sock, peer, server)
