"""Who has to go when there are more clients than places or descriptors.

Kept connections between two requests go first, those that have been idle for longest before the
others. Where there is none, it is the turn of clients that have kept the worker waiting for long:
with a request that is not complete, a response that they do not read, or nothing at all. So who
holds places without using them cannot lock others out.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import nsmallest
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gunicorn.workers.connection import ConnectionLife
    from gunicorn.workers.loop import EventLoop

SLOW = 3.0
"""Seconds that a client may take for a request head, or a pause, while others are waiting."""

BATCH = 64
"""The part of all connections (one in so many) that goes at once: looking for them has a cost."""

QUIET_TIME = 60.0
"""Seconds without trouble after which the next counts as new trouble."""


def expendable(loop: EventLoop) -> list[ConnectionLife]:
    """The connections of `loop` to close next; none when all are in use."""
    count = len(loop.connections) // BATCH + 1
    kept = [each for each in loop.connections.values() if loop.closable(each)]
    if kept:
        return nsmallest(count, kept, key=lambda each: each.deadline)
    latest = loop.now - SLOW
    slow = [
        (since, fd)
        for fd, each in loop.connections.items()
        if (since := each.waits_since) is not None and since <= latest
    ]
    return [loop.connections[fd] for _, fd in nsmallest(count, slow)]


class Complaint:
    """Logs trouble when it begins, and not again while it lasts."""

    def __init__(self, log: Callable[..., None]) -> None:
        self.log = log
        self.over_at = 0.0

    def __call__(self, message: str, *details: object) -> None:
        now = monotonic()
        if now >= self.over_at:
            self.log(message, *details)
        self.over_at = now + QUIET_TIME
