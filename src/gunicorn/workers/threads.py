"""The loop of the gthread worker: sockets that are taken over, threads that hang, and the end.

A call of the application that shows no sign of life for `timeout` is named in the log with its
stack, and so is a request that takes longer than `request_timeout`. The worker then asks for a
successor. When that has booted it accepts no more, finishes its requests, and ends. The call that
is silent may be finished as well, within `graceful_timeout`: it may only be slow. A request over
`request_timeout` is not waited for.
"""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from math import inf
from typing import Any

from gunicorn.workers.balance import Siblings
from gunicorn.workers.balanced import BalancedLoop
from gunicorn.workers.base import Worker
from gunicorn.workers.connection import ConnectionLife
from gunicorn.workers.crew import TAKEN
from gunicorn.workers.failure import stack_of
from gunicorn.workers.seat import Seat
from gunicorn.workers.takeover import LentSocket, is_websocket


class ThreadLoop(BalancedLoop):
    """The connections of a gthread worker."""

    def __init__(self, worker: Worker, siblings: Siblings | None = None) -> None:
        self.taken: set[ConnectionLife] = set()
        """Connections whose socket the application has taken over."""
        super().__init__(worker, siblings)
        self.silence_limit = float(worker.cfg.timeout) or inf
        self.request_limit = float(worker.cfg.request_timeout) or inf

    def tick(self, now: float) -> None:
        super().tick(now)
        self.name_the_stuck(now)

    # Sockets that are taken over

    def lend(self, connection: ConnectionLife, sock: socket.socket) -> Any:
        return LentSocket(sock, partial(self.give_up, connection))

    def forget(self, connection: ConnectionLife) -> None:
        if connection in self.taken:
            self.taken.discard(connection)
            with contextlib.suppress(OSError):
                # Threads of the application may be waiting for it.
                connection.sock.shutdown(socket.SHUT_RDWR)
        super().forget(connection)

    def give_up(self, connection: ConnectionLife) -> tuple[socket.socket, bytes]:
        """The application takes the socket over; see `takeover`."""
        if connection.request is None:
            raise OSError("the request is over, and its socket is the server's again")
        with self.lock:
            if self.leader.connection is connection:
                self.replace_leader()
            self.taken.add(connection)
            connection.state = TAKEN
        connection.sock.setblocking(True)
        connection.outbox.flush(connection.fd, connection.sock.send)
        received, connection.http.buffer = connection.http.buffer, b""
        return connection.sock, received

    # Hangs and the end

    def name_the_stuck(self, now: float) -> None:
        """Tell the log of calls that take longer than a time-out, and retire the worker."""
        for seat in self.stuck(now):
            if not seat.named:
                seat.named = True
                silent = now - seat.moved > self.silence_limit
                self.log.error(
                    "Thread %s has been in the application for %.1f s (%s is %g s) with %s; the "
                    "worker is replaced%s.\n%s",
                    seat.name,
                    now - (seat.moved if silent else seat.began),
                    "timeout" if silent else "request_timeout",
                    self.silence_limit if silent else self.request_limit,
                    describe(seat.connection),
                    f", and has graceful_timeout ({self.graceful_timeout:g} s) to finish"
                    if silent
                    else " when its other requests are done",
                    stack_of(seat.thread),
                )
                self.worker.ask_for_successor()

    def stuck(self, now: float) -> list[Seat]:
        """The threads whose call has passed a time-out; a connection taken over may."""
        return [
            seat
            for seat in self.seats
            if seat.outside
            and (now - seat.moved > self.silence_limit or now - seat.began > self.request_limit)
            and seat.connection not in self.taken
        ]

    def begin_drain(self) -> None:
        super().begin_drain()
        for connection in self.taken:
            lent = connection.http.variables["gunicorn.socket"]
            lent.go_away(websocket=is_websocket(connection.request.variables))

    def hanging(self, now: float) -> set[int]:
        return {
            id(seat.connection)
            for seat in self.seats
            if seat.outside
            and (
                now - seat.moved > self.silence_limit + self.graceful_timeout
                or now - seat.began > self.request_limit
            )
            and seat.connection not in self.taken
        }


def describe(connection: ConnectionLife | None) -> str:
    """The request that is served on a connection, and its client; None for one that is closed."""
    if connection is None:
        return "the end of a response"
    request = connection.request
    peer = connection.peer
    client = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "a unix socket"
    return f"{request.method} {request.uri} from {client}" if request else f"a request of {client}"
