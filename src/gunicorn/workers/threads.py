"""The loop of the gthread worker: sockets that are taken over, threads that hang, and the end.

A call of the application that passes `timeout` is named in the log with its stack. The worker
then retires: it accepts no more, finishes every other request, and leaves its place to a new one.
"""

from __future__ import annotations

import contextlib
import socket
from functools import partial
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
        self.request_timeout = float(worker.cfg.timeout)

    def tick(self, now: float) -> None:
        super().tick(now)
        if self.request_timeout:
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
        """Tell the log of calls that take longer than the time-out, and retire the worker."""
        for seat in self.stuck(now):
            if not seat.named:
                seat.named = True
                self.log.error(
                    "Thread %s has been in the application for more than %d seconds; the worker "
                    "is replaced when its other requests are done.\n%s",
                    seat.name, self.request_timeout, stack_of(seat.thread),
                )  # fmt: skip
                self.worker.ask_for_successor()

    def stuck(self, now: float) -> list[Seat]:
        """The threads whose call has passed the time-out; a connection taken over may."""
        if not self.request_timeout:
            return []
        return [
            seat
            for seat in self.seats
            if seat.outside
            and now - seat.moved > self.request_timeout
            and seat.connection not in self.taken
        ]

    def begin_drain(self) -> None:
        super().begin_drain()
        for connection in self.taken:
            lent = connection.http.variables["gunicorn.socket"]
            lent.go_away(websocket=is_websocket(connection.request.variables))

    def hanging(self, now: float) -> set[int]:
        return {id(seat.connection) for seat in self.stuck(now)}
