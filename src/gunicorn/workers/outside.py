"""In and out of the application: what a loop of several threads does around the user's code.

One lock protects everything of the loop. It is held while the server's code runs and released
while the user's does, so what happens here happens for each request: the lock is let go, the
thread's seat and the scoreboard say what is going on, and how long calls take is remembered.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

from gunicorn.scoreboard import BUSY_SINCE, CELLS, REQUESTS
from gunicorn.workers import copies
from gunicorn.workers.base import Worker
from gunicorn.workers.crew import ThreadedHandler
from gunicorn.workers.loop import EventLoop
from gunicorn.workers.seat import Seat

LASTING = 0.0005
"""Mean duration of calls, in seconds, from which on each is worth a hand-over beforehand."""

LONGEST = 0.02
"""What a longer call counts as in the mean: one that hung once is forgotten after some tens."""


class OutsideLoop(EventLoop):
    """A loop whose lock is released around the user's code, which `threads` threads run."""

    multithread = True

    def __init__(self, worker: Worker) -> None:
        threads = worker.cfg.threads
        self.lock = threading.RLock()
        self.seats = [Seat(f"gunicorn-{number}") for number in range(threads)]
        self.guard = Seat("gunicorn-guard")
        self.leader = self.seats[0]
        self.seat = self.leader
        """Whose thread holds the lock."""
        self.own = threading.local()
        self.running = 0
        self.asleep = False
        """Whether the guard has to be woken when the leader calls the application."""
        # Without a global lock threads run at the same time, and no call is too short to share.
        self.eager = self.always_eager = not getattr(sys, "_is_gil_enabled", lambda: True)()
        """Whether the leader gives the lead away before it calls."""
        self.mean_call = 0.0
        # What one request at a time writes there is not true of several.
        self.scratch = memoryview(bytearray(CELLS * 8)).cast("d")
        super().__init__(worker)
        self.notify = self.note_progress

    def new_handler(self, response_class: type[Any]) -> ThreadedHandler:
        return ThreadedHandler(self, self.worker, self.renderer, response_class, self.scratch)

    def surrender(self) -> Iterator[int]:
        # A thread that is not in the copy may hold it.
        self.lock = threading.RLock()
        return super().surrender()

    def replace_leader(self) -> None:
        """The leader is in the application: another thread leads."""
        raise NotImplementedError

    def on_a_thread(self, ending: Callable[[], None]) -> None:
        """Have a thread call `ending`, which calls the user's code: this one, if it is one."""
        raise NotImplementedError

    # In and out of the application. The lock is held where these are called.

    def go_outside(self) -> Seat:
        """The user's code is about to be called: let go of the lock."""
        seat = self.seat
        # First, as nothing is to be undone if it fails.
        if seat is self.leader:
            if self.eager:
                self.replace_leader()
            elif self.asleep:
                self.guard.wake()
        seat.outside = True
        seat.serial += 1
        seat.started = seat.moved = now = monotonic()
        self.running += 1
        if self.running == 1:
            self.cells[BUSY_SINCE] = now
        self.lock.release()
        return seat

    def come_back(self, seat: Seat) -> None:
        """The user's code has returned to the thread of `seat`."""
        if self.worker.copied:
            copies.leave(self.log, sys.exc_info()[1])
        self.lock.acquire()
        self.seat = seat
        seat.outside = False
        self.running = running = self.running - 1
        self.cells[BUSY_SINCE] = self.oldest() if running else 0.0
        self.cells[REQUESTS] = self.worker.nr - running
        lasted = min(monotonic() - seat.started, LONGEST)
        self.mean_call += (lasted - self.mean_call) / 16
        self.eager = self.always_eager or self.mean_call > LASTING
        seat.named = False
        if not self.worker.alive and self.leader is not seat:
            self.wake_poller()

    @contextlib.contextmanager
    def outside(self) -> Iterator[None]:
        """Run the user's code in the block; nothing changes when the thread is outside already."""
        if self.own.seat.outside:
            yield
            return
        seat = self.go_outside()
        try:
            yield
        finally:
            self.come_back(seat)

    def note_progress(self) -> None:
        """The call of this thread sends or receives, so it does not hang."""
        self.own.seat.moved = monotonic()
        self.worker.notify()

    def oldest(self) -> float:
        """When the oldest of the running calls began."""
        return min((seat.started for seat in self.seats if seat.outside), default=0.0)

    def wake_poller(self) -> None:
        """Have the leader look at `alive`."""
        with contextlib.suppress(BlockingIOError):
            os.write(self.worker.PIPE[1], b"\0")
