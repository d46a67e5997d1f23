"""The loop of workers that share their connections, and how a loop of several threads ends.

What keeps the balance (see `balance`) is the guard. It leads while every thread is in the
application, and what becomes readable then goes to the siblings, if it may: a connection between
two requests, without TLS, of which nothing has been read. In the sync worker the guard is a
thread that the loop adds; it never calls the application, which knows of one thread still.
"""

from __future__ import annotations

import dataclasses
import threading
from math import inf
from time import monotonic

from gunicorn.http.connection import HEAD
from gunicorn.workers.balance import Siblings
from gunicorn.workers.base import Worker
from gunicorn.workers.connection import READING, ConnectionLife
from gunicorn.workers.leader import LeaderLoop
from gunicorn.workers.loop import (
    FIRST_REQUEST_GRACE,
    NEXT_REQUEST_GRACE,
    OUT_OF_RESOURCES,
    ListenerChannel,
)


class SiblingChannel(ListenerChannel):
    """The queue of connections that siblings have no time for."""

    def __init__(self, loop: BalancedLoop, siblings: Siblings) -> None:
        self.balanced = loop
        super().__init__(loop, siblings.exit)

    def on_event(self, _mask: int, /) -> None:
        self.balanced.take_one()


class BalancedLoop(LeaderLoop):
    """The connections of `worker`, some of which `siblings` may get (None: nobody)."""

    def __init__(self, worker: Worker, threads: int, siblings: Siblings | None) -> None:
        self.siblings = siblings
        self.sibling_channel: SiblingChannel | None = None
        self.drain_until = inf
        super().__init__(worker, threads)

    def begin(self) -> None:
        if self.siblings is not None:
            self.sibling_channel = SiblingChannel(self, self.siblings)
        super().begin()

    # Giving

    def put_off(self, connection: ConnectionLife) -> None:
        if not self.give_away(connection):
            super().put_off(connection)

    def give_away(self, connection: ConnectionLife) -> bool:
        """Pass a connection to whoever is free first; False when it has to stay here."""
        if (
            self.siblings is None
            or self.idle
            or self.draining
            or not (connection.plain and connection.state == READING and connection.http.at_rest)
            or not self.siblings.give(
                connection.sock, connection.peer, connection.used, connection.http.variables
            )
        ):
            return False
        connection.close()
        return True

    # Taking

    def start_accepting(self) -> None:
        super().start_accepting()
        channel = self.sibling_channel
        if channel is not None and self.accepting and channel.fd not in self.channels:
            self.channels[channel.fd] = channel
            self.poller.register_shared(channel.fd)

    def stop_accepting(self) -> None:
        super().stop_accepting()
        channel = self.sibling_channel
        if channel is not None and channel.fd in self.channels:
            del self.channels[channel.fd]
            self.poller.unregister(channel.fd)

    def take_one(self) -> bool:
        """Take in one connection that a sibling, or this worker, had no time for."""
        assert self.siblings is not None
        try:
            given = self.siblings.take()
        except OSError as error:
            if error.errno not in OUT_OF_RESOURCES:
                raise
            self.shed(error)
            return False
        if given is None:
            return False
        connection = self.implementation.connection(self, given.sock, given.peer, None)
        connection.http.variables.update(given.variables)
        connection.http.state = HEAD
        connection.calm = True
        connection.used = given.used
        self.admit(connection)
        return True

    # The end

    def begin_drain(self) -> None:
        """Stop accepting, and have everything that is idle end soon."""
        self.draining = True
        self.farewell.release()
        self.drain_until = monotonic() + self.graceful_timeout
        self.timeouts = dataclasses.replace(self.timeouts, keepalive=NEXT_REQUEST_GRACE)
        self.hasten(monotonic())
        self.farewell.serve_queued()

    def hasten(self, now: float) -> None:
        """Give idle connections a last moment only."""
        first, following = now + FIRST_REQUEST_GRACE, now + NEXT_REQUEST_GRACE
        for connection in self.connections.values():
            if connection.http.idle and connection.deadline < inf:
                grace = following if connection.used else first
                connection.deadline = min(connection.deadline, grace)

    def sweep(self, now: float) -> None:
        if self.draining:
            # Those that were being served when it began were promised more.
            self.hasten(now)
        super().sweep(now)

    def end_when_drained(self) -> None:
        """The loop is over when nothing is left but what hangs."""
        now = monotonic()
        if now < self.drain_until:
            hanging = self.hanging(now)
            if any(id(connection) not in hanging for connection in self.connections.values()):
                return
            # What nobody may be left to take.
            if self.siblings is not None and self.take_one():
                return
        self.over = True
        self.guard.wake()
        for seat in self.seats:
            seat.wake()

    def hanging(self, _now: float) -> set[int]:
        """The connections (their `id`) that nobody waits for any more."""
        return set()


class BalancedSyncLoop(BalancedLoop):
    """The loop of a sync worker with siblings: the main thread calls the application."""

    multithread = False

    def __init__(self, worker: Worker, siblings: Siblings) -> None:
        super().__init__(worker, 1, siblings)
        self.main = self.seats[0]

    def run(self) -> None:
        """Serve until the worker is told to stop."""
        self.begin()
        self.start_thread(self.watch_over, self.guard)
        self.work(self.main)
        self.end()

    def tick(self, now: float) -> None:
        wanted = self.worker.template_wanted
        if self.seat is not self.main:
            # The copy goes on with the thread that forks, which has to be the main one.
            self.worker.template_wanted = False
        super().tick(now)
        self.worker.template_wanted = wanted and self.seat is not self.main

    def release_listeners(self) -> None:
        """Close the listeners in the middle of a request."""
        with self.lock:
            self.farewell.release()

    def leave(self) -> None:
        self.lock = threading.RLock()
        super().leave()
