"""The thread of a sync worker that sees to its other clients while a call of the application lasts.

How to think about it. The main thread works as it would without siblings: it never waits for this
one, tells it nothing, and does nothing for it in a request. What the lookout has to know it finds
on the scoreboard: since when the request in progress has been in progress.

    idle       nothing comes: it sleeps until the kernel has something for the worker
    glancing   requests come: every 10 ms a look at how long the present one has lasted
    relieving  it lasts: what becomes readable meanwhile goes to the siblings

Requests that last are not always rare. Where they take a millisecond and more on the average, 10
milliseconds are long, and ringing the `bell` before each is cheap beside it: the loop is told to
do that (`expect_long_calls`) until it finds them short again.

The lookout touches the loop's connections only while the main thread is in a call, and holds the
loop's lock meanwhile. How the main thread gets them back is told in `balanced_sync`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from enum import Enum
from time import monotonic, sleep
from typing import TYPE_CHECKING

from gunicorn import compiled
from gunicorn.scoreboard import BUSY_SINCE, REQUESTS
from gunicorn.syscalls import poll
from gunicorn.workers.poller import READ

if TYPE_CHECKING:
    from gunicorn.workers.balanced_sync import BalancedSyncLoop

GLANCE = 0.01
"""Seconds between two looks."""

SOON = 0.001
"""Seconds within which a call that was announced has begun."""

LASTS = 0.005
"""Seconds after which a call is one that lasts, unless such calls are expected."""

QUIET_GLANCES = 10
"""Looks without a request after which the lookout sleeps until something comes."""

SAMPLE = 16
"""Looks that an estimate of the mean call is made from."""

LONG_CALL = 0.001
"""Mean duration of calls, in seconds, from which on each is announced."""


class Bell:
    """What ends a sleep of the lookout."""

    def __init__(self) -> None:
        self.end, self.rope = os.pipe()
        os.set_blocking(self.end, False)
        os.set_blocking(self.rope, False)

    def ring(self) -> None:
        # A full pipe has rung already.
        with contextlib.suppress(BlockingIOError):
            os.write(self.rope, b"\0")

    def silence(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.end, 4096)

    def close(self) -> None:
        os.close(self.end)
        os.close(self.rope)


class Seen(Enum):
    """Why `watch` has something to tell."""

    RUNG = 0
    """The bell was rung."""
    LASTING = 1
    """A call lasts."""
    LONG = 2
    """Calls take long on the average."""
    QUIET = 3
    """There have been no requests for a while."""


def watch(cells: memoryview[float], bell: int, patience: float) -> Seen:
    """Look at a worker's `cells` of the scoreboard until there is something to tell.

    `bell` is a descriptor that becomes readable, and `patience` the seconds after which a call is
    one that lasts.
    """
    rung = poll()
    rung.register(bell, READ)
    answered = sampled = cells[REQUESTS]
    looks = busy = quiet = 0
    while quiet < QUIET_GLANCES:
        if rung.poll(GLANCE * 1000):
            return Seen.RUNG
        since = cells[BUSY_SINCE]
        quiet = 0 if since or cells[REQUESTS] != answered else quiet + 1
        answered = cells[REQUESTS]
        if since:
            if monotonic() - since >= patience:
                return Seen.LASTING
            busy += 1
        looks += 1
        if looks == SAMPLE:
            # From how often a call was met, and how many there were.
            if busy * GLANCE > LONG_CALL * max(answered - sampled, 1.0):
                return Seen.LONG
            looks = busy = 0
            sampled = answered
    return Seen.QUIET


class Lookout:
    """The lookout of `loop`."""

    def __init__(self, loop: BalancedSyncLoop) -> None:
        self.loop = loop
        self.worker = loop.worker
        self.cells = loop.cells
        self.watch = quickest_watch()
        self.bell = Bell()
        self.ring = self.bell.ring
        self.for_anything = poll()
        self.for_anything.register(self.bell.end, READ)
        # An epoll descriptor is ready when one of those that it waits for is (epoll(7)).
        self.for_anything.register(loop.poller.fileno(), READ)
        self.over = False
        # As a daemon: the process can end while it sleeps.
        self.thread = threading.Thread(target=self.run, name="gunicorn-lookout", daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Have the thread end, and wait for that."""
        self.over = True
        self.ring()
        self.thread.join()
        self.bell.close()

    def run(self) -> None:
        """What the thread does."""
        try:
            while not self.over:
                self.look_out()
        except Exception:
            # Without it the worker serves as it would without siblings.
            self.loop.log.exception("Error while requests last; connections are not shared on")

    def look_out(self) -> None:
        """Watch until there is something to do, and do it."""
        loop = self.loop
        seen = self.watch(self.cells, self.bell.end, LASTS)
        self.bell.silence()
        if seen is Seen.LONG:
            loop.expect_long_calls()
        elif seen is Seen.QUIET:
            # It may have been the bell of the end that was silenced.
            if not self.over:
                self.for_anything.poll()
        elif seen is Seen.LASTING or loop.expects_long_calls:
            if not self.cells[BUSY_SINCE]:
                # It is announced, and begins in a moment.
                sleep(SOON)
            since = self.cells[BUSY_SINCE]
            if since and self.worker.alive and loop.has_siblings():
                self.relieve(since)

    def relieve(self, since: float) -> None:
        """Pass on what becomes readable until the call that began at `since` is over."""
        loop = self.loop
        if not loop.be_relieved(since) or not loop.send_held():
            return
        while True:
            self.for_anything.poll()
            self.bell.silence()
            if not loop.pass_on():
                return


def quickest_watch() -> Callable[[memoryview[float], int, float], Seen]:
    """`watch`, or its compiled twin."""
    if not compiled.available():
        return watch
    from gunicorn.workers import _lookout  # noqa: PLC0415 - it imports this module

    return _lookout.watch
