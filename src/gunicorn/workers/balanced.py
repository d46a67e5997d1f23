"""The loop of several threads, shared with siblings, and how it ends.

The guard leads while every thread is in the application. What becomes readable then goes to the
siblings, if it may (see `sharing`), and otherwise waits for a thread of this worker.
"""

from __future__ import annotations

from math import inf
from time import monotonic

from gunicorn.workers.balance import Siblings
from gunicorn.workers.base import Worker
from gunicorn.workers.connection import ConnectionLife
from gunicorn.workers.leader import LeaderLoop
from gunicorn.workers.loop import FIRST_REQUEST_GRACE, NEXT_REQUEST_GRACE
from gunicorn.workers.sharing import SharingLoop


class BalancedLoop(SharingLoop, LeaderLoop):
    """The connections of `worker`, some of which `siblings` may get (None: nobody)."""

    def __init__(self, worker: Worker, siblings: Siblings | None) -> None:
        self.drain_until = inf
        super().__init__(worker)
        if siblings is not None:
            self.share(siblings)

    def put_off(self, connection: ConnectionLife) -> None:
        if self.idle or not self.somebody_takes() or not self.give_away(connection):
            super().put_off(connection)

    def somebody_takes(self) -> bool:
        """Whether there are others who take what this worker has no time for.

        When it drains these are those of a newer generation, if there is one: who drains does not
        accept.
        """
        if not self.draining:
            return self.has_siblings()
        return not self.turns.is_alone(self.now) and not self.turns.is_nobody_elses()

    # The end

    def begin_drain(self) -> None:
        """Stop accepting, and have everything that is idle end soon."""
        self.draining = True
        self.farewell.release()
        self.drain_until = monotonic() + self.graceful_timeout
        self.timeouts = self.timeouts._replace(keepalive=NEXT_REQUEST_GRACE)
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
            if self.owed or any(id(each) not in hanging for each in self.connections.values()):
                return
            # What nobody may be left to take.
            if self.queue is not None and self.take_one():
                return
        self.over = True
        self.guard.wake()
        for seat in self.seats:
            seat.wake()

    def hanging(self, _now: float) -> set[int]:
        """The connections (their `id`) that nobody waits for any more."""
        return set()
