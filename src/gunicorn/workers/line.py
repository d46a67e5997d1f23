"""The line of connections that have more to do than one turn allows.

How to think about it. Whatever becomes ready in a round of the loop has a turn of its own, and a
turn is short. What a client has sent beyond that (requests behind one another, a body in thousands
of chunks) waits in memory, where no poller tells of it: its connection stands in line. Each round
serves the line for a while, the first in line first, and then looks for others again.

Bodies have a share of each round's time together. When it is used up the rest of them line up too,
so that however many send, a request that comes meanwhile waits for some milliseconds, not for a
turn of each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from gunicorn.workers.client import CLOSED

if TYPE_CHECKING:
    from gunicorn.workers.connection import ConnectionLife

ROUND_SHARE = 0.003
"""Seconds of a round for bodies, and as many for those who stand in line."""


class Line:
    """Connections of one loop, in the order in which their last turns ended."""

    __slots__ = ("connections", "share")

    def __init__(self) -> None:
        self.connections: deque[ConnectionLife] = deque()
        self.share = ROUND_SHARE
        """Seconds of this round that are left for receiving bodies."""

    def __bool__(self) -> bool:
        return bool(self.connections)

    def serve(self, give_turn: Callable[[ConnectionLife], bool]) -> None:
        """Give each a turn while there is time, at least the first; `give_turn` may end that."""
        self.share = ROUND_SHARE
        until = monotonic() + ROUND_SHARE
        for _ in range(len(self.connections)):
            if not self.connections:
                return
            connection = self.connections.popleft()
            if connection.state == CLOSED:
                continue
            connection.begin_turn()
            if not give_turn(connection) or monotonic() >= until:
                return
