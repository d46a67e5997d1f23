"""What the arbiter's loop sleeps on: its own wake-up pipe, and the ways in which others wake it.

Workers ring a bell, and templates send messages. Those who can do that run code of the application,
perhaps as another user, so no more than a look is owed to them: whoever has woken the loop does not
wake it again for a moment (GAP). A worker that rings without end costs the arbiter some turns a
second, and delays no signal. For the same reason the bell is a pipe of its own: a flag that a
process sets on a pipe, such as the one that makes writing to it block, holds for everybody who
shares it.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import time

from gunicorn.syscalls import poll, read

GAP = 0.005
"""Seconds for which nobody listens to those who have just woken the loop."""
MOST = 65536
"""Bytes that are taken out of a pipe in one turn."""


class Words:
    """The descriptors that end the sleep of the loop."""

    def __init__(self) -> None:
        self._poll = poll()
        self._own = -1
        self._bell: tuple[int, int] | None = None
        self._others: set[int] = set()
        self._deaf_until = 0.0

    @property
    def bell(self) -> int:
        """The end of the bell that is written to; -1 when there is none."""
        return -1 if self._bell is None else self._bell[1]

    def open(self, own: int) -> None:
        """Make the bell; `own` is the arbiter's own pipe, which is always listened to."""
        self._own = own
        self._poll.register(own, select.POLLIN)
        self._bell = os.pipe()
        for fd in self._bell:
            os.set_blocking(fd, False)
        self.listen(self._bell[0])

    def listen(self, fd: int) -> None:
        """Be woken by `fd` as well; what comes there is for the caller to read."""
        self._others.add(fd)
        self._poll.register(fd, select.POLLIN)

    def ignore(self, fd: int) -> None:
        """Be woken by `fd` no more. Before it is closed."""
        if fd in self._others:
            self._others.discard(fd)
            self._poll.unregister(fd)

    def wait(self, timeout: float) -> None:
        """Sleep until something comes, for `timeout` seconds at most."""
        if self._own < 0:
            time.sleep(timeout)
            return
        left = self._deaf_until - time.monotonic()
        if self._deaf_until and left <= 0:
            self._deaf_until = 0.0
            self._want(select.POLLIN)
        elif self._deaf_until:
            timeout = min(timeout, left)
        ready = {fd for fd, _ in self._poll.poll(max(0, math.ceil(timeout * 1000)))}
        if self._own in ready:
            _empty(self._own)
        if ready & self._others:
            if self._bell is not None and self._bell[0] in ready:
                _empty(self._bell[0])
            self._deaf_until = time.monotonic() + GAP
            self._want(0)

    def leave(self) -> None:
        """In a forked process: keep nothing but the end of the bell that is written to."""
        if self._bell is not None and self._bell[0] in self._others:
            os.close(self._bell[0])
        self._others.clear()
        self._own = -1

    def close(self) -> None:
        """Let go of the bell."""
        if self._bell is not None:
            self.leave()
            os.close(self._bell[1])
            self._bell = None

    def _want(self, events: int) -> None:
        for fd in self._others:
            self._poll.modify(fd, events)


def _empty(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        read(fd, MOST)
