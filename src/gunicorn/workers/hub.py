"""What a library of green threads does for a worker: gevent and eventlet each have a `Hub`.

Who has to wait for a descriptor does so in a `Spot`, and what is due later is a call of the hub.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Protocol

from greenlet import getcurrent, greenlet

from gunicorn.workers.copies import leave


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> object: ...


class Hub(Protocol):
    """What a library of green threads does for a worker."""

    plain_socket: type[socket.socket]
    """The socket of the standard library, as it was before it was patched."""

    def spawn(self, function: Callable[..., object], *args: Any) -> Any:
        """Call `function` in a new green thread, which is returned."""

    def rest(self) -> object:
        """Wait until this green thread is resumed, and return the word that comes with it."""

    def resume(self, thread: Any, word: object) -> None:
        """Have a green thread that rests go on, soon."""

    def spot(self, fd: int) -> Spot:
        """A place to wait for a descriptor."""

    def later(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call a function that does not wait."""

    def kill(self, threads: list[Any], seconds: float) -> None:
        """End green threads, and wait for their end for at most so many seconds."""

    def is_running(self) -> bool:
        """Whether the hub itself runs at the moment, in which nothing may wait."""

    def become_copy(self, log: Any) -> None:
        """This process was forked by the green thread that runs: it is to end with that."""

    def rest_unless_forker(self) -> None:
        """In such a process: return in the green thread that has forked it, and nowhere else."""


class Spot:
    """Where one green thread at a time waits for a descriptor."""

    hub: Hub

    def wait(self, interest: int) -> bool:
        """Wait for readiness; False when the wait was ended by `rouse`."""
        raise NotImplementedError

    def rouse(self) -> None:
        """End the wait of the green thread that is here, if there is one."""
        raise NotImplementedError

    def close(self) -> None:
        """The descriptor is about to be closed: nobody waits here any more."""
        raise NotImplementedError

    def abandon(self) -> None:
        """In a forked process: whoever waits here waits for ever."""
        raise NotImplementedError

    def wait_for(self, interest: int, seconds: float) -> bool:
        """The same as `wait`, for at most so many seconds."""
        timer = self.hub.later(seconds, self.rouse)
        try:
            return self.wait(interest)
        finally:
            timer.cancel()


class Forker:
    """In a forked process, the green thread that forked it. The process ends with that."""

    def __init__(self, log: Any) -> None:
        self.thread = origin = getcurrent()
        parent = origin.parent
        if parent is None:
            # The main one, whose end is that of the process anyway.
            return
        end = greenlet(self.wait_for_end, parent)
        end.switch(origin, log)
        # What is there to go on when it is over.
        origin.parent = end

    def wait_for_end(self, origin: greenlet, log: Any) -> None:
        """What goes on when the green thread is over, by an error or not."""
        error = None
        try:
            origin.switch()
        except BaseException as ending:
            error = ending
        leave(log, error)
