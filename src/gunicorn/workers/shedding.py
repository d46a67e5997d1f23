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

from gunicorn.http.connection import BODY, BUSY
from gunicorn.workers.client import LINGER_TIME, LINGERING, READING, SENDING, SPOOL_AFTER
from gunicorn.workers.room import SMALL
from gunicorn.workers.spool import SpooledBody

if TYPE_CHECKING:
    from gunicorn.workers.connection import ConnectionLife
    from gunicorn.workers.loop import EventLoop
    from gunicorn.workers.room import Room

SLOW = 3.0
"""Seconds that a client may take for a request head, or a pause, while others are waiting."""

VARIABLE_OVERHEAD = 200
"""Bytes of memory that a variable of a request takes beside its text."""

NO_ROOM = "too slow while there is no room for what is sent"

BATCH = 64
"""The part of all connections (one in so many) that goes at once: looking for them has a cost."""

QUIET_TIME = 60.0
"""Seconds without trouble after which the next counts as new trouble."""


def waits_since(connection: ConnectionLife) -> float | None:
    """When a client last did what was expected of it; None while nothing is.

    The first byte of a head counts, and each sign that a response is being read, but not the
    bytes of a request that trickles.
    """
    timeouts = connection.loop.timeouts
    if connection.state == SENDING:
        return connection.deadline - (timeouts.send if connection.outbox.settled else SPOOL_AFTER)
    if connection.state == LINGERING:
        return connection.deadline - LINGER_TIME
    http = connection.http
    if http.request is None:
        return connection.deadline - timeouts.header
    return None if http.state == BUSY else http.body.patience.began


def stands_still_since(connection: ConnectionLife) -> float | None:
    """When a client last read or sent of what is in files for it; None where nothing is."""
    if connection.state == SENDING:
        in_files = connection.loop.response_spool.backlog(connection.outbox)
        return waits_since(connection) if in_files else None
    if connection.state == READING and connection.http.state == BODY:
        body = connection.http.body
        return body.patience.last if isinstance(body, SpooledBody) and body.spooled else None
    return None


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
        if (since := waits_since(each)) is not None and since <= latest
    ]
    return [loop.connections[fd] for _, fd in nsmallest(count, slow)]


def held_for_head(connection: ConnectionLife) -> int:
    """Bytes of memory that the head and the trailers of the request at hand take, about."""
    http = connection.http
    if http.partial is not None:
        return len(http.partial.data)
    request = http.request
    if request is None:
        return 0
    # The bytes that came, and the variables that were made of them.
    size = 2 * request.head_end + VARIABLE_OVERHEAD * len(request.variables)
    return size if request.body is None else size + request.body.decoder.held


class LargeHeads:
    """Request heads and trailers that are not small, which take from `room` like all the rest.

    They do so from their first bytes until the request is over. Bodies and responses go to files
    when the room is full. Heads do not, so whose client takes longest makes way.
    """

    def __init__(self, room: Room) -> None:
        self.room = room
        self.sizes: dict[ConnectionLife, int] = {}

    def note(self, connection: ConnectionLife) -> None:
        """The client of `connection` is being waited for; others may have to go for its head."""
        if self.count(connection) and self.room.used > self.room.limit:
            self.shrink()

    def count(self, connection: ConnectionLife) -> bool:
        """Take from the room what a head comes to by now; False when that is nothing much."""
        size = held_for_head(connection)
        if size <= SMALL:
            self.discard(connection)
            return False
        self.room.add(size - self.sizes.get(connection, 0))
        self.sizes[connection] = size
        return True

    def discard(self, connection: ConnectionLife) -> None:
        """A request is over."""
        if size := self.sizes.pop(connection, 0):
            self.room.add(-size)

    def shrink(self) -> None:
        """Part with those that have kept the worker waiting for longest, until there is room."""
        for each in list(self.sizes):
            self.count(each)
        # A part more than it needs, since looking for them has a cost.
        enough = self.room.limit * 7 // 8
        slow = [(since, each) for each in self.sizes if (since := waits_since(each)) is not None]
        for _, each in sorted(slow, key=lambda entry: entry[0]):
            if self.room.used <= enough:
                break
            self.discard(each)
            each.give_up(NO_ROOM)


def occupants(loop: EventLoop) -> list[ConnectionLife]:
    """The connections that leave what they have in files there, while others need the room.

    Clients that neither read nor send for a while, that is: who makes progress, stays. So does who
    is ready to go on, and has had to wait for the worker.
    """
    latest = monotonic() - SLOW
    found = [
        (since, fd)
        for fd, each in loop.connections.items()
        if (since := stands_still_since(each)) is not None and since <= latest
    ]
    longest = nsmallest(len(loop.connections) // BATCH + 1, found)
    return [each for _, fd in longest if not loop.keeps_waiting(each := loop.connections[fd])]


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
