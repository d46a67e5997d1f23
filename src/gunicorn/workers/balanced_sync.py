"""The loop of a sync worker that has siblings.

It is the loop of one thread, and costs what that costs. Only when a call of the application lasts
does its lookout, a thread that never calls it, take the poll set over (`be_relieved`) and give the
connections that become readable to the siblings (`pass_on`). When the call is over the main
thread takes everything back (`take_back`).

How neither gets in the way of the other. The main thread writes the end of a call to the
scoreboard, and then reads its clock, which tells it when to tick next. The lookout sets that time
to "now", so that the main thread comes by (`refresh_clock`), and then looks whether the call is
still on the scoreboard. As each writes before it reads, one of them notices the other: either the
call goes on and the main thread will find, at its end, that it was relieved, or it is over and the
lookout desists. What the main thread does with the loop in the middle of a call (to watch a
connection, to close one) and what the lookout does are kept apart by the lock.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn.scoreboard import BUSY_SINCE
from gunicorn.workers.channels import ListenerChannel
from gunicorn.workers.client import CLOSED
from gunicorn.workers.connection import ConnectionLife
from gunicorn.workers.lookout import LONG_CALL, Lookout
from gunicorn.workers.poller import READ
from gunicorn.workers.sharing import SharingLoop

if TYPE_CHECKING:
    from gunicorn.http.request import Request
    from gunicorn.workers.balance import Siblings
    from gunicorn.workers.base import Worker
    from gunicorn.wsgi.input import Source
    from gunicorn.wsgi.response import Response, Sink

LONGEST = 0.02
"""What a longer call counts as in the mean: one that hung once is forgotten after some tens."""

SETTLED = 0.0 if getattr(sys, "_is_gil_enabled", lambda: True)() else 0.001
"""Seconds after which every thread sees what another has written."""


class BalancedSyncLoop(SharingLoop):
    """The connections of a sync worker, which it shares through `queue`."""

    def __init__(self, worker: Worker, queue: Siblings) -> None:
        self.lock = threading.RLock()
        self.lookout: Lookout | None = None
        self.relieved = False
        """Whether the lookout has the poll set."""
        self.aside: list[tuple[Any, int]] = []
        """Channels that were taken out of the poll set, with what they waited for."""
        self.expects_long_calls = False
        self.mean_call = 0.0
        super().__init__(worker)
        self.handle = self.handle_and_take_back
        self.share(queue)

    # The main thread

    def refresh_clock(self) -> float:
        if self.relieved:
            self.take_back()
        self.now = now = monotonic()
        if now >= self.next_tick:
            self.tick(now)
        return now

    def tick(self, now: float) -> None:
        super().tick(now)
        if self.lookout is None and self.worker.alive and self.expects_siblings():
            self.lookout = Lookout(self)

    def expects_siblings(self) -> bool:
        """Whether the worker has siblings, or will soon; a lonely one may get some, too (TTIN)."""
        return self.worker.cfg.workers > 1 or self.has_siblings()

    def handle_and_take_back(self, request: Request, sink: Sink, source: Source) -> Response:
        """Serve one request that does not take the short way of `exchange`.

        A response that is left to the loop to send ends a call without a look at the clock.
        """
        response = self.handler.handle(request, sink, source)
        if self.relieved:
            self.take_back()
        return response

    def take_back(self) -> None:
        """The call is over: the poll set is the main thread's again."""
        with self.lock:
            self.relieved = False
            self.implementation.tick(self.next_tick)
        assert self.lookout is not None
        self.lookout.ring()
        aside, self.aside = self.aside, []
        for channel, interest in aside:
            if not isinstance(channel, ConnectionLife):
                self.add_channel(channel)
            elif channel.state != CLOSED and not channel.interest:
                channel.want(interest)
        if self.worker.alive and monotonic() >= self.resume_at:
            self.start_accepting()

    def watch(self, connection: ConnectionLife, interest: int) -> None:
        with self.lock:
            super().watch(connection, interest)

    def forget(self, connection: ConnectionLife) -> None:
        with self.lock:
            super().forget(connection)

    def start_accepting(self) -> None:
        if not self.relieved:
            super().start_accepting()

    # While calls are known to last

    def expect_long_calls(self) -> None:
        """Announce each call to the lookout from now on, until they turn out to be short."""
        if not self.expects_long_calls:
            self.mean_call = 2 * LONG_CALL
            self.expects_long_calls = True
            self.dispatch = self.dispatch_announced

    def dispatch_announced(self, events: list[tuple[int, int]], channels: dict[int, Any]) -> None:
        """What `dispatch` does, the bell rung before each call."""
        assert self.lookout is not None
        for fd, mask in events:
            channel = channels.get(fd)
            if channel is None:
                continue
            began, served = monotonic(), self.worker.nr
            self.lookout.ring()
            channel.on_event(mask)
            if self.worker.nr != served:
                lasted = min(monotonic() - began, LONGEST)
                self.mean_call += (lasted - self.mean_call) / 16
        if self.mean_call < LONG_CALL:
            self.expects_long_calls = False
            self.dispatch = self.implementation.dispatch

    # The lookout

    def be_relieved(self, since: float) -> bool:
        """Give the poll set to the lookout; False when the call that began at `since` is over."""
        with self.lock:
            self.relieved = True
            self.implementation.tick(0.0)
        if SETTLED:
            time.sleep(SETTLED)
        with self.lock:
            if self.cells[BUSY_SINCE] == since:
                return self.relieved
            if self.relieved:
                self.relieved = False
                self.implementation.tick(self.next_tick)
            return False

    def send_held(self) -> bool:
        """Send what waits for the end of the call; False when the main thread is back."""
        with self.lock:
            if self.relieved:
                # The main thread sends nothing else before it has taken the poll set back.
                self.implementation.send_held()
            return self.relieved

    def pass_on(self) -> bool:
        """Deal with what is ready; False when the main thread has taken the poll set back."""
        with self.lock:
            if not self.relieved:
                return False
            for fd, _ in self.poller.poll(0):
                channel = self.channels.get(fd)
                if isinstance(channel, ListenerChannel):
                    # Siblings have been told of it, too.
                    self.stop_accepting()
                elif isinstance(channel, ConnectionLife) and self.give_away(channel):
                    self.expect_long_calls()
                elif channel is not None:
                    self.set_aside(channel)
        return True

    def set_aside(self, channel: Any) -> None:
        """Take a channel out of the poll set that would stay ready."""
        self.poller.unregister(channel.fd)
        del self.channels[channel.fd]
        interest = READ
        if isinstance(channel, ConnectionLife):
            interest, channel.interest = channel.interest, 0
        self.aside.append((channel, interest))

    # The end

    def drain(self) -> None:
        if self.relieved:
            self.take_back()
        if self.lookout is not None:
            self.lookout.end()
            self.dispatch = self.implementation.dispatch
        deadline = monotonic() + self.graceful_timeout
        super().drain()
        # What nobody may be left to take.
        while monotonic() < deadline and self.take_one():
            while self.connections and monotonic() < deadline:
                self.step()
        for connection in list(self.connections.values()):
            connection.close()

    def release_listeners(self) -> None:
        """Close the listeners in the middle of a request."""
        with self.lock:
            self.farewell.release()

    def surrender(self) -> Iterator[int]:
        self.lock = threading.RLock()
        if self.lookout is not None:
            yield from (self.lookout.bell.end, self.lookout.bell.rope)
        yield from super().surrender()

    def leave(self) -> None:
        self.lock = threading.RLock()
        if self.lookout is not None:
            self.lookout.bell.close()
        super().leave()
