"""The conventional exchange on a kept connection; the twin of the compiled `_exchange`.

How to think about it. A request that came whole and has no body, an application that returns a
list of one piece of bytes, and a client that takes it: one recv, one send, and between them
nothing but the application and a few objects. What takes six methods of three layers elsewhere is
one method here, because each call would cost more than what it does. Everything else leaves this
road at the first sign of it and goes on in `gunicorn.workers.connection`, with nothing done twice.

Short responses of one round leave together: the network's code runs once for all of them, with
its data at hand, and a client on the same machine is woken once. They are held for HOLD_TIME at
most, and only while the application is known to be quick, since a call that lasts would keep back
what is finished; on connections of which nothing else is done meanwhile; and never behind the
last request that is here, so that a single client's response leaves at once.
"""

from __future__ import annotations

import socket
from collections import deque
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn.http.errors import HTTPError
from gunicorn.http.response import NO_BODY
from gunicorn.scoreboard import BUSY_SINCE, REQUESTS
from gunicorn.workers.client import READING, RECEIVE_SIZE
from gunicorn.workers.connection import Connection
from gunicorn.workers.poller import READ
from gunicorn.wsgi.environ import name_server_by_host
from gunicorn.wsgi.response import JOIN_BELOW, Response

if TYPE_CHECKING:
    from gunicorn.workers.handler import RequestHandler
    from gunicorn.workers.loop import EventLoop

HOLD_TIME = 0.0005
"""Seconds for which the first of several responses is held, at most, and one more call."""

SLOW = 0.002
"""Seconds of a request that kept back what was held. Nothing is held for CAUTION times as long."""
CAUTION = 20.0

MAX_HELD = 128


class Steady:
    """What all connections of one loop share, at hand without a look-up."""

    __slots__ = (
        "access",
        "app",
        "cells",
        "copied",
        "handler",
        "head",
        "held",
        "held_since",
        "hold_after",
        "holds",
        "hooked",
        "keepalive",
        "keeps_alive",
        "loop",
        "max_requests",
        "more_to_come",
        "next_tick",
        "now",
        "recognise",
        "renderer",
        "worker",
    )

    def __init__(self, loop: EventLoop, handler: RequestHandler) -> None:
        """`loop` and `handler` are the worker's; their settings do not change any more."""
        self.loop = loop
        self.handler = handler
        self.worker = handler.worker
        self.app = handler.app
        self.access = handler.access
        self.cells = handler.cells
        self.renderer = loop.renderer
        self.recognise = loop.parser.recognise
        self.head = loop.renderer.head
        self.max_requests = handler.worker.max_requests
        self.keeps_alive = handler.keeps_alive
        self.hooked = handler.pre_request is not None or handler.post_request is not None
        self.keepalive = loop.timeouts.keepalive
        self.next_tick = 0.0
        self.now = 0.0
        self.holds = loop.holds_responses
        self.held: deque[tuple[SteadyConnection, bytes]] = deque()
        self.held_since = self.hold_after = 0.0
        self.copied = False
        """Whether this process is a copy of the worker."""
        self.more_to_come = False
        """Whether another request is waiting, for which a response may be held."""

    def dispatch(self, events: list[tuple[int, int]], channels: dict[int, Any]) -> None:
        """Let each channel go on that is ready, and is still there when its turn comes."""
        self.now = monotonic()
        left = len(events)
        try:
            for fd, mask in events:
                channel = channels.get(fd)
                left -= 1
                self.more_to_come = self.holds and left > 0
                if channel is not None:
                    if self.held and type(channel) is not SteadyConnection:
                        self.release()
                    channel.on_event(mask)
        except BaseException:
            # The worker is told to quit.
            self.more_to_come = False
            self.release()
            raise
        if self.held:
            self.release()

    def hold(self, connection: SteadyConnection, data: bytes) -> None:
        """Keep a finished response for a moment."""
        if not self.held:
            self.held_since = self.now
        connection.held = True
        self.held.append((connection, data))
        if len(self.held) >= MAX_HELD:
            self.release()

    def release(self) -> None:
        """Send what is held."""
        # What a broken connection leads to may come back here.
        while self.held:
            try:
                connection, data = self.held.popleft()
            except IndexError:
                # A lookout, which sends it while a call lasts, was quicker.
                return
            connection.held = False
            try:
                sent = connection.send_bytes(data)
            except OSError as error:
                connection.send_late(data, -1, error.errno or 0)
            else:
                if sent != len(data):
                    connection.send_late(data, sent, 0)


class SteadyConnection(Connection):
    """One client, most of whose requests take the conventional road."""

    __slots__ = ("held", "steady", "trusted", "variables")

    steady: Steady
    held: bool
    trusted: bool
    variables: dict[str, Any]

    def __init__(
        self, loop: EventLoop, sock: socket.socket, peer: Any, server: Any, steady: Steady
    ) -> None:
        super().__init__(loop, sock, peer, server)
        self.steady = steady
        self.held = False
        self.trusted = self.http.trusted
        self.variables = self.http.variables

    def close(self) -> None:
        if self.held:
            self.steady.release()
        super().close()
        self.variables = {}

    def on_event(self, _mask: int, /) -> None:
        """The socket is ready: go on where this connection is."""
        steady = self.steady
        if self.state != READING or not self.calm or self.held or steady.hooked:
            steady.release()
            if self.state != READING:
                self.go_on()
            else:
                self.read()
            return
        try:
            data = self.recv(RECEIVE_SIZE)
        except BlockingIOError:
            self.wait_for_data()
            return
        except OSError as error:
            self.fail(error)
            return
        try:
            request = steady.recognise(data, 0, self.variables.copy(), self.trusted)
        except HTTPError as error:
            self.refuse(error)
            return
        if request is None:
            steady.release()
            self.take(data)
        elif request.head_end != len(data) or request.content_length or request.chunked:
            steady.release()
            self.begin(request, data)
        else:
            self.exchange(steady, request)

    def exchange(self, steady: Steady, request: Any) -> None:
        """Serve a whole request without a body."""
        variables = request.variables
        request.peer_addr = self.peer
        if not variables["SERVER_PORT"]:
            name_server_by_host(variables)
        self.request = request
        self.begun = False
        worker = steady.worker
        worker.nr = number = worker.nr + 1
        if number >= steady.max_requests:
            steady.handler.retire()
        cells = steady.cells
        started = cells[BUSY_SINCE] = monotonic()
        response = Response(
            request,
            self,
            steady.renderer,
            request.keep_alive and steady.keeps_alive and worker.alive,
        )
        try:
            result = steady.app(variables, response.start_response)
        except BaseException as error:
            steady.handler.failed(error, request, response, started)
            steady.release()
            self.conclude(steady, response)
            return
        if steady.copied:
            steady.handler.end_copy()
        if not self.send_piece(steady, request, response, result):
            steady.release()
            steady.handler.finish(result, request, response, started)
            self.conclude(steady, response)
            return
        if steady.access is not None:
            steady.access(response, request, variables, monotonic() - started)
        cells[REQUESTS] = number
        cells[BUSY_SINCE] = 0.0
        steady.now = steady.loop.now = now = monotonic()
        # The deadline is of the time before the application ran, and a tick would act on it.
        self.deadline = inf
        if now >= steady.next_tick:
            # The loop looks after its connections, and may make a copy of the process.
            steady.release()
            steady.loop.refresh_clock()
        if now - started > SLOW:
            steady.hold_after = now + CAUTION * (now - started)
        if steady.held and (now - steady.held_since > HOLD_TIME or now < steady.hold_after):
            steady.release()
        if self.state != READING or not response.keep_alive or self.outbox.queue:
            steady.release()
            self.advance(response)
            return
        self.request = None
        self.deadline = now + steady.keepalive
        self.fresh = self.used = True
        if self.interest != READ:
            self.wait_for_data()

    def conclude(self, steady: Steady, response: Response) -> None:
        """Go on after a call, or a response, that was not a conventional one."""
        self.deadline = inf
        steady.loop.refresh_clock()
        self.advance(response)

    def send_piece(self, steady: Steady, request: Any, response: Response, result: Any) -> bool:
        """Send a response of one short piece of bytes; False when it is not one."""
        fields = response.fields
        if type(result) is not list or len(result) != 1 or fields is None or fields.dropped:
            return False
        body = result[0]
        if type(body) is not bytes or response.headers_sent or not self.calm:
            return False
        size = len(body)
        if not 0 < size <= JOIN_BELOW or fields.length not in (None, size):
            return False
        head, response.delimiting, response.response_length, response.keep_alive = steady.head(
            fields, request.method, request.version, response.keep_alive, size
        )
        response.headers_sent = self.begun = True
        if response.delimiting == NO_BODY:
            body = b""
            size = 0
        response.sent = size
        response.remaining = 0
        data = head + body
        if steady.more_to_come and response.keep_alive and steady.now >= steady.hold_after:
            steady.hold(self, data)
            return True
        try:
            sent = self.send_bytes(data)
        except OSError as error:
            self.send_rest(data, -1, error.errno or 0)
        else:
            if sent != size + len(head):
                self.send_rest(data, sent, 0)
        return True
