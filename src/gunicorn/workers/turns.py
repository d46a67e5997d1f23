"""Whose turn it is to accept: how workers that share a listener get even shares of its clients.

Two things decide who gets a connection.

Workers that wait: the kernel wakes the first in line (EPOLLEXCLUSIVE), and the line is that of
their registrations, so without more the same worker would be first each time. A worker that has
accepted goes to the end of the line (`Poller.queue_up`), and they take turns.

Workers that run: in a burst all have been woken, and the first that the scheduler gives a CPU
could accept the whole of it before the others come to run. So a worker that is about to accept
for the second time in a row looks at its siblings on the scoreboard. When one is idle, accepts and
has fewer connections, the worker steps aside for the length of a turn, in which the sibling, which
was woken as well, gets the CPU. After that it accepts whatever the others do.
"""

from __future__ import annotations

from gunicorn.scoreboard import Slot

TURN = 0.001
"""Seconds that a worker steps aside for, and within which two accepts are in a row."""


class Turns:
    """One worker's view of the others that accept from the same listeners."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.accepted_at = 0.0

    def taken(self, now: float) -> None:
        """This worker has accepted a connection."""
        self.accepted_at = now

    def is_anothers(self, now: float, connections: int) -> bool:
        """Whether to leave the next one to a sibling; `connections` is what this worker has."""
        # Who has many may be ahead by a few: more turns would make even shares no evener.
        return now - self.accepted_at < TURN and self.slot.waits_with_fewer(
            connections - connections // 8, now
        )
