"""Whose turn it is to accept: how workers that share a listener get even shares of its clients.

Two things decide who gets a connection.

Workers that wait: the kernel wakes the first in line (EPOLLEXCLUSIVE), and the line is that of
their registrations, so without more the same worker would be first each time. A worker that has
accepted goes to the end of the line (`Poller.queue_up`), and they take turns.

Workers that run: in a burst all have been woken, and the first that the scheduler gives a CPU
could accept the whole of it before the others come to run. So a worker that is about to accept
for the second time without having waited in between looks at its siblings on the scoreboard. When
one is idle, accepts and has fewer connections, the worker steps aside for the length of a turn, in
which the sibling, which was woken as well, gets the CPU. After that it accepts whatever the others
do. One at a time, so that it looks again before the next; a worker that is alone accepts as many
as there are clients being served.
"""

from __future__ import annotations

import resource

from gunicorn.scoreboard import Slot

TURN = 0.002
"""Seconds that a worker steps aside for."""

WHO = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)

RECOUNT = 0.1
"""Seconds for which it is remembered who the others are; the board has many empty places."""


class Turns:
    """One worker's view of the others that accept from the same listeners."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.slept = -1
        self.others: list[int] = []
        self.recount_at = 0.0

    def taken(self) -> None:
        """This worker has accepted a connection."""
        if self.others:
            self.slept = times_slept()

    def is_anothers(self, now: float, connections: int) -> bool:
        """Whether to leave the next one to a sibling; `connections` is what this worker has."""
        if self.is_alone(now) or not connections:
            return False
        # Who has many may be ahead by a few: more turns would make even shares no evener.
        fewer = connections - connections // 8
        waits = self.slot.waits_with_fewer
        return any(waits(each, fewer, now) for each in self.others) and self.slept == times_slept()

    def is_alone(self, now: float) -> bool:
        """Whether there is no other worker, busy or not, as of some moments ago."""
        if now >= self.recount_at:
            self.recount_at = now + RECOUNT
            self.others = self.slot.others()
        return not self.others

    def is_nobody_elses(self) -> bool:
        """Whether no other worker accepts at present, so that none is done out of its share.

        Those are asked that there were when it was last to be known whose turn it is.
        """
        return not any(map(self.slot.accepts_at, self.others))


def times_slept() -> int:
    """How often this thread has waited for anything so far: the kernel counts it (getrusage(2))."""
    return resource.getrusage(WHO).ru_nvcsw
