"""The loop of green threads: one for each connection, on the hub of gevent or eventlet.

How to think about it. A connection is the same state machine as in the event loop, in the same
two implementations. What differs is who waits: each connection has a green thread that lets it go
on, waits in a `Spot` until its socket is ready, and lets it go on again. The application is called
in that green thread, so whatever it waits for, the others go on.

Making a green thread and a socket that waits in it costs more than a short request. So a thread
whose connection is over waits a while for the next one, and sockets are those of the kernel's own
kind until an application takes one over.

Nothing has a timer of its own. Twice a second the main green thread looks at the deadlines, as
the event loop does, and rouses those whose time is up: `Spot.wait` returns False then.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn.scoreboard import CONNECTIONS, REQUESTS, Slot
from gunicorn.workers.channels import ListenerChannel, WakeupChannel
from gunicorn.workers.client import CLOSED, LINGER_TIME, RECEIVE_SIZE
from gunicorn.workers.connection import ConnectionLife
from gunicorn.workers.handler import RequestHandler
from gunicorn.workers.hub import Hub, Spot, Timer
from gunicorn.workers.line import ROUND_SHARE
from gunicorn.workers.loop import FIRST_REQUEST_GRACE, NEXT_REQUEST_GRACE, EventLoop
from gunicorn.workers.poller import READ
from gunicorn.workers.shedding import expendable
from gunicorn.workers.takeover import LentSocket, is_websocket
from gunicorn.workers.tls import TLSConnection

if TYPE_CHECKING:
    from gunicorn.workers.green_worker import GreenWorker

LAST_LOOK = 1.0
"""Seconds that requests get for their clean-up when they are ended by force."""

MAX_RESTING = 16
"""How many green threads wait for a connection; they keep what the application keeps in them."""

TURNS_AT_ONCE = 4
"""How many connections in line have their turn in one round of the hub."""

YIELD = 0.01
"""Seconds for which the main green thread lets the others go first."""


class Attendant:
    """A green thread, and the client that it serves; None while it rests, and to end it."""

    __slots__ = ("client", "thread")

    def __init__(self, client: Client) -> None:
        self.client: Client | None = client
        self.thread: Any = None


class Client:
    """A connection, who serves it, and the socket if the application has taken it."""

    __slots__ = ("at_once", "attendant", "connection", "spot", "taken")

    def __init__(self, connection: ConnectionLife, spot: Spot) -> None:
        self.connection = connection
        self.spot = spot
        self.attendant: Attendant | None = None
        self.at_once = True
        """Whether to look for a request before waiting for one."""
        self.taken: socket.socket | None = None


class Acceptor:
    """A listener and the green thread that accepts from it."""

    __slots__ = ("listener", "open", "running", "spot")

    def __init__(self, listener: ListenerChannel, spot: Spot) -> None:
        self.listener = listener
        self.spot = spot
        self.open = False
        self.running = False


def has_input(connection: ConnectionLife) -> bool:
    """Whether something has arrived that was not received yet."""
    if not connection.plain:
        return False
    try:
        return bool(connection.sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


class GreenLoop(EventLoop):
    """The connections of `worker`, a green thread each."""

    multithread = True
    works_in_rounds = False

    def __init__(self, worker: GreenWorker, hub: Hub) -> None:
        self.hub = hub
        self.green_worker = worker
        self.draining = False
        self.acceptors: list[Acceptor] = []
        self.clients: dict[int, Client] = {}
        self.resting: list[Attendant] = []
        """Those without a client; the last is the first to get one."""
        self.lined_up: deque[Client] = deque()
        """Those who rest until it is their turn again."""
        self.next_round: Timer | None = None
        super().__init__(worker)
        self.wakeup = WakeupChannel(worker.PIPE[0])
        self.main = hub.spot(self.wakeup.fd)
        self.acceptors = [Acceptor(each, hub.spot(each.fd)) for each in self.listeners]
        # What stands in for a socket that is not ours any more: everything fails.
        self.no_socket = socket.socket()
        self.no_socket.close()

    def init_poller(self) -> None:
        """The hub is what polls."""

    def new_handler(self, response_class: type[Any]) -> RequestHandler:
        handler = super().new_handler(response_class)
        # What one request at a time writes there is not true of many; `tick` publishes.
        handler.cells = Slot().cells
        return handler

    # The life of the loop

    def run(self) -> None:
        """Serve until the worker is told to stop, then finish what was begun."""
        self.start_accepting()
        self.worker.mind_exit_handler()
        try:
            self.step_until_told()
            if not self.worker.ends_now:
                self.drain()
        except SystemExit:
            # Told to quit: applications get a moment to close what they have begun.
            if os.getpid() == self.worker.pid:
                self.end_calls()
            raise
        self.worker.surrender = None
        self.main.close()

    def step(self) -> None:
        """Wait for a signal, at most until the next tick."""
        try:
            if self.main.wait_for(READ, max(self.next_tick - monotonic(), 0.0)):
                self.wakeup.on_event(READ)
        except BaseException as error:
            # The libraries throw into this thread what ends one of the application's own.
            if not self.survives(error):
                raise
        self.green_worker.handle_postponed()
        if self.refresh_clock() >= self.next_tick:
            self.tick(self.now)

    def refresh_clock(self) -> float:
        self.now = now = monotonic()
        return now

    def tick(self, now: float) -> None:
        super().tick(now)
        # Connections tell the time, and leave the ticking to the main green thread.
        self.implementation.tick(inf)
        self.publish()
        if self.resting:
            # So that those go that are not needed any more.
            self.resume(self.resting.pop(0))

    def publish(self) -> None:
        """Tell the scoreboard how many requests were answered."""
        running = sum(each.request is not None for each in self.connections.values())
        self.cells[REQUESTS] = self.worker.nr - running

    def expire(self, connection: ConnectionLife) -> None:
        """Time is up, if it is for its client that the green thread of `connection` waits."""
        self.clients[connection.fd].spot.rouse()

    def drain(self) -> None:
        """Stop accepting; finish requests that have begun, within `graceful_timeout`."""
        self.draining = True
        self.stop_accepting()
        # Those that accept leave the listeners before these are closed.
        self.main.wait_for(READ, YIELD)
        self.farewell.release()
        now = self.refresh_clock()
        deadline = now + self.graceful_timeout
        self.next_tick = now + NEXT_REQUEST_GRACE
        self.timeouts = self.timeouts._replace(keepalive=NEXT_REQUEST_GRACE)
        for client in list(self.clients.values()):
            connection = client.connection
            if client.taken is not None:
                self.say_goodbye(connection)
            elif connection.http.idle:
                grace = NEXT_REQUEST_GRACE if connection.used else FIRST_REQUEST_GRACE
                connection.deadline = min(connection.deadline, now + grace)
        self.farewell.serve_queued()
        while self.clients and monotonic() < deadline:
            self.step()
        self.end_calls()
        for connection in list(self.connections.values()):
            connection.close()
        while self.resting:
            self.resume(self.resting.pop())
        # They end before the worker does.
        self.main.wait_for(READ, YIELD)
        self.publish()

    def surrender(self) -> Iterator[int]:
        """In a copy of the worker: do nothing more, and name the descriptors of the original.

        The hub goes on, for the application. What it does for the worker ends here.
        """
        self.handler.copied = True
        self.handler.rest_in_copies = self.hub.rest_unless_forker
        self.implementation.surrender()
        self.main.abandon()
        for acceptor in self.acceptors:
            acceptor.open = False
            acceptor.spot.abandon()
        for client in self.clients.values():
            client.spot.abandon()
            if client.taken is None:
                yield client.connection.fd

    def end_calls(self) -> None:
        """End what is in progress, and wait for its clean-up for a moment."""
        self.handler.ends_calls = True
        attendants = [client.attendant for client in self.clients.values()]
        self.hub.kill([each.thread for each in attendants if each is not None], LAST_LOOK)

    # Accepting

    def watch_listeners(self) -> None:
        for acceptor in self.acceptors:
            acceptor.open = True
            if not acceptor.running:
                acceptor.running = True
                self.hub.spawn(self.accept_from, acceptor)

    def ignore_listeners(self) -> None:
        for acceptor in self.acceptors:
            acceptor.open = False
            acceptor.spot.rouse()

    def queue_up(self, _listener: ListenerChannel) -> None:
        """The poller is the library's; siblings take turns by their numbers of connections."""

    def step_aside(self) -> None:
        super().step_aside()
        # To wait anew, as the next tick is earlier now.
        self.main.rouse()

    def accept_from(self, acceptor: Acceptor) -> None:
        """What the green thread of a listener does."""
        try:
            while acceptor.open:
                if acceptor.spot.wait(READ) and acceptor.open:
                    self.refresh_clock()
                    # Each of those may have its turn before this one has the next.
                    self.ready = len(self.connections)
                    self.accept(acceptor.listener)
        finally:
            acceptor.running = False

    def admit(self, connection: ConnectionLife, *, at_once: bool = True) -> None:
        """Give a new connection its green thread."""
        client = Client(connection, self.hub.spot(connection.fd))
        self.connections[connection.fd] = connection
        self.clients[connection.fd] = client
        self.cells[CONNECTIONS] = len(self.connections)
        client.at_once = at_once
        if self.resting:
            attendant = self.resting.pop()
            attendant.client = client
            self.resume(attendant)
        else:
            attendant = Attendant(client)
            attendant.thread = self.hub.spawn(self.attend, attendant)
        client.attendant = attendant

    def make_room(self) -> bool:
        """Close connections that are idle, or else very slow; False when there are none."""
        before = len(self.connections)
        for connection in expendable(self):
            # One whose next request has come is about to be served, in its own green thread.
            if not (connection.http.idle and has_input(connection)):
                connection.give_up("too slow while others are waiting")
                connection.close()
        return len(self.connections) < before

    def accept_plain(self, listener: ListenerChannel) -> None:
        own = listener.sock
        # As socket.accept does, which would make a socket that waits in its green thread.
        descriptor, peer = own._accept()  # type: ignore[attr-defined]
        sock = self.hub.plain_socket(own.family, own.type, own.proto, fileno=descriptor)
        sock.setblocking(False)
        self.admit(self.implementation.connection(self, sock, peer, listener.address))

    # The life of a connection

    def attend(self, attendant: Attendant) -> None:
        """What a green thread does: serve one client after the other."""
        while attendant.client is not None:
            self.live(attendant.client)
            attendant.client = None
            if self.draining or len(self.resting) >= MAX_RESTING:
                return
            self.resting.append(attendant)
            self.rest(attendant)

    def rest(self, attendant: Attendant) -> None:
        """Wait until it gets a client, or is to end."""
        while True:
            try:
                if self.hub.rest() is attendant:
                    return
            except BaseException as error:
                if self.draining or self.worker.ends_now:
                    raise
                self.complain_of_stray(error)

    def resume(self, attendant: Attendant) -> None:
        """End its rest."""
        self.hub.resume(attendant.thread, attendant)

    def live(self, client: Client) -> None:
        """Serve the requests of a connection until it is over."""
        connection = client.connection
        spot = client.spot
        try:
            if client.at_once:
                connection.on_event(READ)
            else:
                connection.want(READ)
            while connection.state != CLOSED:
                had_more = bool(connection.off_since)
                self.wait_for_turn(connection)
                if self.draining and connection.http.idle:
                    grace = self.refresh_clock() + NEXT_REQUEST_GRACE
                    connection.deadline = min(connection.deadline, grace)
                ready = had_more or self.wait_at(spot, connection)
                self.now = now = monotonic()
                if connection.state == CLOSED:
                    break
                if ready:
                    connection.on_event(connection.interest)
                elif connection.deadline <= now:
                    connection.on_deadline()
            if client.taken is not None:
                self.see_off(client.taken)
        except Exception:
            self.log.exception("Error in the connection of %s", connection.peer)
        finally:
            connection.close()

    def wait_at(self, spot: Spot, connection: ConnectionLife) -> bool:
        """Wait for what the connection waits for; whether it is ready."""
        try:
            return spot.wait(connection.interest)
        except BaseException as error:
            if isinstance(error, Exception) or self.handler.is_over(error):
                raise
            self.complain_of_stray(error)
            return False

    def wait_for_turn(self, connection: ConnectionLife) -> None:
        """Rest until it is the connection's turn, closed or not: who resumes it does not know."""
        while connection.off_since:
            try:
                self.hub.rest()
            except BaseException as error:
                if isinstance(error, Exception) or self.handler.is_over(error):
                    raise
                self.complain_of_stray(error)

    def complain_of_stray(self, error: BaseException) -> None:
        """An exception meant for a request that is over: a timer, say, that was not cancelled."""
        self.log.error("Error after a request, in its green thread", exc_info=error)

    def line_up(self, connection: ConnectionLife) -> None:
        self.lined_up.append(self.clients[connection.fd])
        if self.next_round is None:
            self.next_round = self.hub.later(0, self.serve_line)

    def serve_line(self) -> None:
        """Have the first in line go on, each in its own green thread; the hub calls this."""
        if self.next_round is not None:
            self.next_round.cancel()
        self.next_round = None
        self.line.share = ROUND_SHARE
        for _ in range(min(len(self.lined_up), TURNS_AT_ONCE)):
            client = self.lined_up.popleft()
            client.connection.begin_turn()
            assert client.attendant is not None
            self.hub.resume(client.attendant.thread, client.attendant)
        if self.lined_up:
            self.next_round = self.hub.later(0, self.serve_line)

    def watch(self, connection: ConnectionLife, interest: int) -> None:
        """The connection's own thread will wait for what `connection.interest` says."""

    def wait_for(self, fd: int, interest: int, seconds: float) -> bool:
        return self.clients[fd].spot.wait_for(interest, seconds)

    def keeps_waiting(self, _connection: ConnectionLife) -> bool:
        """Each goes on by itself."""
        return False

    def forget(self, connection: ConnectionLife) -> None:
        self.connections.pop(connection.fd, None)
        self.large_heads.discard(connection)
        self.cells[CONNECTIONS] = len(self.connections)
        client = self.clients.pop(connection.fd, None)
        if client is not None:
            client.spot.close()
        if self.draining and not self.clients:
            self.main.rouse()
        if not self.accepting and self.worker.alive and self.now >= self.resume_at:
            self.start_accepting()

    # Connections that the application takes over

    def lend(self, connection: ConnectionLife, sock: socket.socket) -> Any:
        """The socket as the hub's library has it, which tells when the application uses it."""
        return LentSocket(sock, partial(self.give_away, connection))

    def give_away(self, connection: ConnectionLife) -> tuple[socket.socket, bytes]:
        """Let go of the socket: it waits for readiness as the library's sockets do."""
        client = self.clients.get(connection.fd)
        sock = connection.sock
        if client is None:
            # A socket that was used after its connection: it is closed, and says so itself.
            return sock, b""
        if not isinstance(connection, TLSConnection):
            sock = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
        client.taken = sock
        del self.connections[connection.fd], self.clients[connection.fd]
        # Still counted, under a descriptor with which every system call fails.
        connection.fd = ~connection.fd
        self.connections[connection.fd] = connection
        self.clients[connection.fd] = client
        connection.sock = self.no_socket
        connection.recv = self.no_socket.recv
        connection.send_bytes = self.no_socket.send
        if isinstance(connection, TLSConnection):
            connection.owes_farewell = False
        sock.settimeout(None)
        received, connection.http.buffer = connection.http.buffer, b""
        if self.draining:
            self.hub.spawn(self.say_goodbye, connection)
        return sock, received

    def say_goodbye(self, connection: ConnectionLife) -> None:
        """The worker stops: the application is to find the end of the stream."""
        variables = connection.http.variables
        lent = variables["gunicorn.socket"]
        request = connection.request
        websocket = request is not None and is_websocket(request.variables)
        self.hub.spawn(partial(lent.go_away, websocket=websocket))

    def see_off(self, sock: socket.socket) -> None:
        """Close a socket that the application is done with, its last bytes on their way."""
        if sock.fileno() < 0:
            # It was closed, or detached to be kept.
            return
        with socket.socket(fileno=os.dup(sock.fileno())) as own:
            if isinstance(sock, ssl.SSLSocket):
                sock.settimeout(0.0)
                with suppress(OSError, ValueError):
                    sock.unwrap()
            # Threads of the application that still wait for this socket learn of its end.
            sock.close()
            own.setblocking(False)
            spot = self.hub.spot(own.fileno())
            try:
                self.linger(own, spot)
            finally:
                spot.close()

    def linger(self, sock: socket.socket, spot: Spot) -> None:
        """Wait until the client has closed too, or for a moment."""
        deadline = monotonic() + LINGER_TIME
        try:
            sock.shutdown(socket.SHUT_WR)
            while (left := deadline - monotonic()) > 0:
                if spot.wait_for(READ, left) and not sock.recv(RECEIVE_SIZE):
                    return
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.ECONNRESET, errno.EAGAIN):
                self.log.debug("Closing a connection that was taken over: %s", error)
