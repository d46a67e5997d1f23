"""A thread of the event loop, as the others see it."""

from __future__ import annotations

import threading
from typing import Any


class Seat:
    """A thread of the loop: what it does, and where it sleeps."""

    __slots__ = (
        "began",
        "bell",
        "connection",
        "moved",
        "name",
        "named",
        "outside",
        "rung",
        "serial",
        "started",
        "thread",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.bell = threading.Lock()
        self.bell.acquire()
        self.rung = False
        self.thread = 0
        self.connection: Any = None
        """What goes on in this thread."""
        self.outside = False
        """Whether the thread runs code of the user, the loop's lock released."""
        self.began = 0.0
        """When its request began."""
        self.started = 0.0
        """When its call of the user's code began, of which a request has several."""
        self.moved = 0.0
        """When its call was last seen to get on."""
        self.serial = 0
        self.named = False
        """Whether the log has been told that its call passed the time-out."""

    def wake(self) -> None:
        """End this thread's sleep, or its next one; the loop's lock is held."""
        if not self.rung:
            self.rung = True
            self.bell.release()
