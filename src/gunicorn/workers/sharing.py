"""What workers with siblings have in common: they give connections away, and take them in.

When is up to the loop: the one of several threads (`balanced`) gives while all of them are in the
application, that of the sync worker (`balanced_sync`) while a call of it lasts. How is the same.
What may go is a connection between two requests, without TLS, of which nothing has been read; see
`balance` for the way that it takes. Workers that have time wait for such connections beside their
listeners, woken one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING

from gunicorn.http.connection import HEAD
from gunicorn.workers.channels import ListenerChannel
from gunicorn.workers.client import READING
from gunicorn.workers.connection import ConnectionLife
from gunicorn.workers.loop import OUT_OF_RESOURCES, EventLoop

if TYPE_CHECKING:
    from gunicorn.workers.balance import Siblings
    from gunicorn.workers.base import Worker

RECOUNT = 0.1
"""Seconds between two looks whether there are siblings."""


class SiblingChannel(ListenerChannel):
    """The queue of connections that siblings have no time for."""

    def __init__(self, loop: SharingLoop, siblings: Siblings) -> None:
        self.sharing = loop
        super().__init__(loop, siblings.exit)

    def on_event(self, _mask: int, /) -> None:
        self.sharing.take_one()


class SharingLoop(EventLoop):
    """The connections of `worker`, some of which its siblings may get."""

    def __init__(self, worker: Worker) -> None:
        self.sibling_channel: SiblingChannel | None = None
        self.queue: Siblings | None = None
        self.accompanied = False
        self.recount_at = 0.0
        super().__init__(worker)

    def share(self, queue: Siblings) -> None:
        """Give to `queue`, and take from it; called before the loop accepts."""
        self.queue = queue
        self.sibling_channel = SiblingChannel(self, queue)

    def surrender(self) -> Iterator[int]:
        if self.queue is not None:
            yield from (self.queue.entrance.fileno(), self.queue.exit.fileno())
        yield from super().surrender()

    def has_siblings(self) -> bool:
        """Whether another worker of this generation is there, as of some moments ago."""
        now = monotonic()
        if now >= self.recount_at:
            self.recount_at = now + RECOUNT
            self.accompanied = self.worker.tmp.has_siblings()
        return self.accompanied

    # Giving

    def give_away(self, connection: ConnectionLife) -> bool:
        """Pass a connection to whoever is free first; False when it has to stay here."""
        if (
            self.queue is None
            or not connection.plain
            or connection.state != READING
            or connection.request is not None
            or not connection.http.at_rest
            or not self.queue.give(
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
        assert self.queue is not None
        try:
            given = self.queue.take()
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
