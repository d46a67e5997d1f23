"""What all connections of a worker hold for slow clients together, in memory and in files.

Each connection has its own bounds, but a thousand of them come to more than a machine has. So
whoever keeps something takes its bytes from a `Room` that all share, and gives them back. What
comes of a room that is full is the holder's affair.
"""

from __future__ import annotations

import threading
from math import inf
from time import monotonic

SMALL = 64 * 1024
"""Bytes that a connection may keep in memory even if there is no more room for it."""

WANTED_FOR = 6.0
"""Seconds for which a room that was full stays in demand."""


class Room:
    """`limit` bytes. Threads that send responses take from it at the same time."""

    __slots__ = ("limit", "lock", "refused_at", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.refused_at = -inf
        # A collection of garbage may give back in the middle of taking.
        self.lock = threading.RLock()

    @property
    def is_full(self) -> bool:
        """Whether as much is taken as there is, or more."""
        return self.used >= self.limit

    @property
    def is_wanted(self) -> bool:
        """Whether somebody found no room a moment ago, so that those who can should make some."""
        return monotonic() - self.refused_at < WANTED_FOR

    def add(self, size: int) -> None:
        """Take so many bytes whether there is room or not, or give them back (below 0)."""
        with self.lock:
            self.used += size

    def take(self, size: int) -> bool:
        """Take so many bytes; False, and nothing is taken, when there is no room for them."""
        with self.lock:
            if self.used + size > self.limit:
                self.refused_at = monotonic()
                return False
            self.used += size
        return True
