"""The event loop: all client connections of one worker, none of which can make it wait.

    while alive:
        wait for listeners, connections and signals
        twice a second: heartbeat, clock, connections whose time is up
        let each that is ready go on where it is, for a turn
        let those go on whose last turn was not enough, the first in line first, for a while

The application is called from within (`handle`), so one request runs at a time. When the worker
is told to stop, the listeners are let go, what was begun is finished, and the rest is closed.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn import SERVER_SOFTWARE
from gunicorn.http.policy import Policy
from gunicorn.scoreboard import ACCEPTING, CONNECTIONS
from gunicorn.syscalls import poll
from gunicorn.workers.base import Worker
from gunicorn.workers.channels import Channel, ListenerChannel, WakeupChannel
from gunicorn.workers.client import READING, SENDING
from gunicorn.workers.connection import ConnectionLife
from gunicorn.workers.failure import from_user_code
from gunicorn.workers.farewell import Farewell
from gunicorn.workers.handler import RequestHandler, errors_streams
from gunicorn.workers.implementation import choose
from gunicorn.workers.line import ROUND_SHARE, Line
from gunicorn.workers.policy import connection_timeouts, http_policy
from gunicorn.workers.poller import READ, WRITE, Poller, new_poller
from gunicorn.workers.response_spool import ResponseSpool
from gunicorn.workers.room import Room
from gunicorn.workers.shedding import NO_ROOM, Complaint, LargeHeads, expendable, occupants
from gunicorn.workers.spool import Spooler
from gunicorn.workers.takeover import was_taken
from gunicorn.workers.thrift import Thrift, keep_working_memory
from gunicorn.workers.turns import TURN, Turns
from gunicorn.wsgi.environ import process_variables
from gunicorn.wsgi.errors_stream import ErrorsStream

if TYPE_CHECKING:
    from gunicorn.workers.certificates import CurrentContext

TICK = 0.5
"""Seconds between heartbeats, and the precision of all time-outs of connections."""

RETRY_ACCEPT = 0.5
"""Seconds without accepting after descriptors ran out."""

FIRST_REQUEST_GRACE = 1.0
"""Seconds that a new connection has for its first request when the worker is stopping."""

NEXT_REQUEST_GRACE = 0.5
"""The same for a kept connection: a request that is on its way must not meet a closed door."""

OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class EventLoop:
    """The connections of `worker`."""

    multithread = False
    """Whether requests are served at the same time in this process."""

    works_in_rounds = True
    """Whether what `step` has begun is over when it returns."""

    holds_responses = True
    """Whether short responses of one round may leave together at its end."""

    poller: Poller

    def __init__(self, worker: Worker) -> None:
        cfg = worker.cfg
        self.worker = worker
        self.log = worker.log
        self.notify = worker.notify
        self.policy: Policy = http_policy(cfg)
        self.implementation = choose(cfg.http_parser)
        self.parser = self.implementation.parser(self.policy)
        self.renderer = self.implementation.renderer()
        self.memory_room = Room(cfg.worker_buffer_size)
        self.file_room = Room(cfg.worker_spool_size)
        self.new_body = Spooler(
            cfg.tmp_upload_dir, cfg.request_buffer_size, cfg.request_spool_size, worker.log,
            self.memory_room, self.file_room,
        )  # fmt: skip
        self.response_spool = ResponseSpool(
            cfg.worker_tmp_dir, cfg.response_spool_size, worker.log, self.file_room
        )
        self.handler = self.new_handler(self.implementation.response_class)
        self.handle = self.handler.handle
        self.flush_access_log = self.handler.batch_access() if self.works_in_rounds else None
        self.timeouts = connection_timeouts(cfg)
        self.graceful_timeout = float(cfg.graceful_timeout)
        self.response_buffer_size: int = cfg.response_buffer_size
        self.max_connections: int = cfg.worker_connections
        self.secure: bool = cfg.is_ssl
        self.uses_sendfile: bool = cfg.sendfile
        self.accept_client: Callable[[ListenerChannel], None] = (
            self.tls_acceptor(cfg, worker.tls) if worker.tls else self.accept_plain
        )
        self.variables = process_variables(
            software=SERVER_SOFTWARE,
            errors=ErrorsStream(errors_streams(worker.log)),
            multithread=self.multithread,
            multiprocess=cfg.workers > 1,
        )
        keep_working_memory()
        self.init_poller()
        self.channels: dict[int, Channel] = {}
        self.connections: dict[int, ConnectionLife] = {}
        self.listeners = [ListenerChannel(self, sock) for sock in worker.sockets]
        self.large_heads = LargeHeads(self.memory_room)
        self.waiting_calls: set[object] = set()
        """Connections whose responses wait for room in files, in the middle of the call."""
        self.farewell = Farewell(self)
        self.accepting = False
        self.resume_at = 0.0
        self.ready = 0
        """How many channels have their turn in this round."""
        self.line = Line()
        self.exhausted = Complaint(worker.log.error)
        self.crowded = Complaint(worker.log.warning)
        self.sweeping = False
        self.thrift = Thrift()
        self.now = monotonic()
        self.next_tick = self.now
        self.cells = worker.tmp.cells
        self.turns = Turns(worker.tmp)
        self.implementation.serve(self)
        self.dispatch = self.implementation.dispatch
        worker.surrender = self.surrender

    def new_handler(self, response_class: type[Any]) -> RequestHandler:
        return RequestHandler(self.worker, self.renderer, response_class)

    def init_poller(self) -> None:
        self.poller = new_poller()

    # The life of the loop

    def run(self) -> None:
        """Serve until the worker is told to stop, then finish what was begun."""
        self.add_channel(WakeupChannel(self.worker.PIPE[0]))
        self.start_accepting()
        self.worker.mind_exit_handler()
        try:
            self.step_until_told()
            if not self.worker.ends_now:
                self.drain()
        finally:
            # A worker that is made to quit leaves from the middle of a round.
            if self.flush_access_log is not None:
                self.flush_access_log()
        self.close_poller()

    def close_poller(self) -> None:
        """The loop is over."""
        self.worker.surrender = None
        self.poller.close()

    def step_until_told(self) -> None:
        """Serve for as long as the worker is to live."""
        while self.worker.alive:
            try:
                self.step()
            except SystemExit as ending:
                if not self.survives(ending):
                    raise

    def survives(self, error: BaseException) -> bool:
        """Whether `error`, which came while the server's own code ran, is none of the server's.

        Handlers of signals that the application has set raise what they want wherever the main
        thread is: SystemExit, to end the process, or the end of a time that was not called off.
        """
        worker = self.worker
        if worker.ends_now or os.getpid() != worker.pid or isinstance(error, KeyboardInterrupt):
            return False
        if isinstance(error, SystemExit):
            self.log.info("The application asks for the end of the worker: %r", error)
            worker.alive = False
        elif from_user_code(error.__traceback__) is None:
            return False
        else:
            self.log.error("Error between two requests", exc_info=error)
        return True

    def step(self) -> None:
        """Wait for something to happen, at most until the next tick, and deal with it."""
        line = self.line
        # Asked for the queue itself, as this is done in every round.
        queue = line.connections
        try:
            events = self.poller.poll(0.0 if queue else max(self.next_tick - monotonic(), 0.0))
        except BaseException as error:
            if not self.survives(error):
                raise
            events = []
        self.ready = len(events)
        line.share = ROUND_SHARE
        self.refresh_clock()
        self.dispatch(events, self.channels)
        if queue:
            line.serve(self.give_turn)
        if self.flush_access_log is not None:
            self.flush_access_log()

    def give_turn(self, connection: ConnectionLife) -> bool:
        """Let a connection go on that stood in line; whether the next one may."""
        self.dispatch([(connection.fd, READ)], self.channels)
        return True

    def refresh_clock(self) -> float:
        """Bring `now` up to date; long batches of requests tick from here."""
        self.now = now = monotonic()
        if now >= self.next_tick:
            self.tick(now)
        return now

    def tick(self, now: float) -> None:
        """What is done twice a second."""
        self.next_tick = now + TICK
        self.implementation.tick(self.next_tick)
        self.notify()
        self.worker.mind_exit_handler()
        self.renderer.status_lines.refresh()
        self.cells[CONNECTIONS] = len(self.connections)
        self.thrift.look(len(self.connections))
        if not self.sweeping:
            self.sweeping = True
            self.sweep(now)
            self.relieve()
            self.sweeping = False
        if self.worker.alive and now >= self.resume_at:
            # Anew, for a client whose arrival was reported to a worker that had no place.
            self.stop_accepting()
            self.start_accepting()
            if not self.accepting and len(self.connections) >= self.max_connections:
                self.crowded("All %d places of worker_connections are taken.", self.max_connections)
        if self.worker.alive and not self.worker.is_parent_alive():
            self.worker.alive = False
        if self.worker.template_wanted:
            self.worker.fork_template(self.leave)

    def expire(self, connection: ConnectionLife) -> None:
        """The time of `connection` is up."""
        connection.on_deadline()

    def sweep(self, now: float) -> None:
        """Deal with connections whose time is up; some of them may bring a last request."""
        for connection in list(self.connections.values()):
            if connection.deadline <= now:
                self.expire(connection)

    def relieve(self) -> None:
        """Part with slow clients that keep the room in files from others."""
        if self.file_room.is_wanted:
            for connection in occupants(self):
                connection.give_up(NO_ROOM)

    def drain(self) -> None:
        """Stop accepting; finish requests that have begun, within `graceful_timeout`."""
        self.farewell.release()
        deadline = monotonic() + self.graceful_timeout
        first = monotonic() + FIRST_REQUEST_GRACE
        following = self.next_tick = monotonic() + NEXT_REQUEST_GRACE
        # For responses that promised to keep the connection and are still on their way.
        self.timeouts = self.timeouts._replace(keepalive=NEXT_REQUEST_GRACE)
        for connection in list(self.connections.values()):
            if connection.http.idle:
                grace = following if connection.used else first
                connection.deadline = min(connection.deadline, grace)
                connection.on_event(READ)
        self.farewell.serve_queued()
        while self.connections and monotonic() < deadline:
            self.step()
        for connection in list(self.connections.values()):
            connection.close()

    def in_progress(self) -> list[tuple[Any, Any]]:
        """The requests that the application works on, each with the address of its client."""
        return [
            (each.request, each.peer)
            for each in list(self.connections.values())
            if each.request is not None and each.state == READING
        ]

    def leave(self) -> None:
        """In a forked copy: let go of the clients, who are the original's to serve."""
        for connection in self.connections.values():
            connection.sock.close()
        self.connections.clear()
        self.poller.close()

    def surrender(self) -> Iterator[int]:
        """In a copy of the worker: do nothing more, and name the descriptors of the original.

        A socket that the application has taken over is its own.
        """
        self.handler.copied = True
        self.implementation.surrender()
        self.flush_access_log = None
        for connection in self.connections.values():
            if not was_taken(connection.http.variables):
                yield connection.fd
        yield from self.poller.descriptors()

    # Accepting

    def start_accepting(self) -> None:
        if not self.accepting and (
            len(self.connections) < self.max_connections or expendable(self)
        ):
            self.accepting = True
            self.cells[ACCEPTING] = 1.0
            self.watch_listeners()

    def stop_accepting(self) -> None:
        if self.accepting:
            self.accepting = False
            self.cells[ACCEPTING] = 0.0
            self.ignore_listeners()

    def watch_listeners(self) -> None:
        for listener in self.listeners:
            self.channels[listener.fd] = listener
            self.poller.register_shared(listener.fd)

    def ignore_listeners(self) -> None:
        for listener in self.listeners:
            del self.channels[listener.fd]
            self.poller.unregister(listener.fd)

    def queue_up(self, listener: ListenerChannel) -> None:
        """Let siblings be told of the next connection first."""
        self.poller.queue_up(listener.fd)

    def step_aside(self) -> None:
        """Leave the next connection to a sibling, for a moment."""
        self.stop_accepting()
        # Back soon: siblings that compare themselves are not to race ahead meanwhile.
        self.cells[ACCEPTING] = 1.0
        self.resume_at = self.next_tick = monotonic() + TURN

    def accept(self, listener: ListenerChannel) -> None:
        """Accept a connection; more of them where no sibling would, and others have their turn too.

        So a client that comes while many are being served waits for a round of those, not for as
        many rounds as there are new ones before it.
        """
        if self.turns.is_anothers(self.now, len(self.connections)):
            self.step_aside()
            return
        if not self.accept_one(listener):
            return
        if self.ready > 1 and self.turns.is_nobody_elses():
            for _ in range(self.ready - 1):
                if not self.may_accept() or not self.accept_one(listener):
                    break
        self.turns.taken()
        if self.accepting:
            self.queue_up(listener)

    def may_accept(self) -> bool:
        """Whether this round may look for another client, for whom nobody has to make way."""
        return self.accepting and len(self.connections) < self.max_connections

    def accept_one(self, listener: ListenerChannel) -> bool:
        """Accept a connection, and serve it at once if its request has come with it.

        False when there is none, or no place for it.
        """
        if len(self.connections) >= self.max_connections and not self.make_room():
            self.stop_accepting()
            return False
        try:
            self.accept_client(listener)
        except (BlockingIOError, ConnectionError):
            # A sibling was faster, or the client has gone already.
            return False
        except OSError as error:
            if error.errno not in OUT_OF_RESOURCES:
                self.log.debug("Accepting on %s: %s", listener.sock, error)
                return False
            self.shed(error)
            return False
        return True

    def accept_plain(self, listener: ListenerChannel) -> None:
        sock, peer = listener.sock.accept()
        sock.setblocking(False)
        self.admit(self.implementation.connection(self, sock, peer, listener.address))

    def tls_acceptor(self, cfg: Any, context: CurrentContext) -> Callable[[ListenerChannel], None]:
        from gunicorn.workers.tls import acceptor  # noqa: PLC0415 - it imports ssl, slowly

        return acceptor(self, cfg, context)

    def admit(self, connection: ConnectionLife, *, at_once: bool = True) -> None:
        """Take in a new connection; `at_once` looks whether its request is here already."""
        self.connections[connection.fd] = connection
        self.cells[CONNECTIONS] = len(self.connections)
        if at_once:
            connection.on_event(READ)
        else:
            connection.want(READ)

    def shed(self, error: OSError) -> None:
        """Descriptors ran out: let go whom one can, or accept again a little later."""
        self.exhausted("Cannot accept connections: %s. Idle ones are closed.", error)
        if not self.make_room():
            self.stop_accepting()
            self.resume_at = monotonic() + RETRY_ACCEPT

    def make_room(self) -> bool:
        """Close connections that are idle, or else very slow; False when there are none."""
        before = len(self.connections)
        for connection in expendable(self):
            connection.make_way()
        return len(self.connections) < before

    def closable(self, connection: ConnectionLife) -> bool:
        """Whether a connection has been used and waits for its next request."""
        return connection.state == READING and connection.used and connection.http.idle

    # For connections

    def line_up(self, connection: ConnectionLife) -> None:
        """Give `connection` another turn when the others have had theirs."""
        connection.want(READ)
        self.line.connections.append(connection)

    def lend(self, _connection: ConnectionLife, sock: socket.socket) -> Any:
        """Return what the application finds in `environ["gunicorn.socket"]`."""
        return sock

    def wait_for(self, fd: int, interest: int, seconds: float) -> bool:
        """Wait for one client, in the middle of its request; False when the time is up."""
        if not self.multithread:
            # Nobody ticks meanwhile, and it may be others who keep the room that it waits for.
            self.relieve()
        ready = poll()
        ready.register(fd, interest)
        return bool(ready.poll(seconds * 1000))

    def keeps_waiting(self, connection: ConnectionLife) -> bool:
        """Whether a connection could go on, and it is the worker that has no time for it."""
        if connection.off_since:
            return True
        ready = poll()
        ready.register(connection.fd, WRITE if connection.state == SENDING else READ)
        return bool(ready.poll(0))

    # Registration

    def add_channel(self, channel: WakeupChannel) -> None:
        self.channels[channel.fd] = channel
        self.poller.register(channel.fd, READ)

    def watch(self, connection: ConnectionLife, interest: int) -> None:
        """Report `interest` of a connection; `connection.interest` is what is reported so far."""
        if connection.interest:
            self.poller.modify(connection.fd, interest)
        else:
            self.channels[connection.fd] = connection
            self.poller.register(connection.fd, interest)

    def forget(self, connection: ConnectionLife) -> None:
        """A connection is about to be closed."""
        self.connections.pop(connection.fd, None)
        self.large_heads.discard(connection)
        self.cells[CONNECTIONS] = len(self.connections)
        if connection.interest:
            del self.channels[connection.fd]
            self.poller.unregister(connection.fd)
            # What its end leads to (the application's `close()`) may come by here again.
            connection.interest = 0
        if not self.accepting and self.worker.alive and self.now >= self.resume_at:
            self.start_accepting()
