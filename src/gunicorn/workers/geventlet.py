"""The worker class that serves on eventlet; importing it needs the eventlet package."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

try:
    with warnings.catch_warnings():
        # That it is only maintained is what `check_config` says, in the log.
        warnings.simplefilter("ignore")
        import eventlet
        from eventlet import greenthread, hubs, patcher
except ImportError as error:
    raise ImportError(
        "worker class 'eventlet' needs the eventlet package."
        " Install it with: pip install 'gunicorn[eventlet]'",
        name="eventlet",
    ) from error

from gunicorn.workers.green_worker import GreenWorker
from gunicorn.workers.hub import Forker, Spot
from gunicorn.workers.poller import READ

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.glogging import Logger


class EventletSpot(Spot):
    """Where one green thread at a time waits for a descriptor."""

    __slots__ = ("eventlet_hub", "fd", "hub", "switch")

    def __init__(self, hub: EventletHub, fd: int) -> None:
        self.hub = hub
        self.eventlet_hub = hub.hub
        self.fd = fd
        self.switch: Callable[[bool], object] | None = None

    def wait(self, interest: int) -> bool:
        hub = self.eventlet_hub
        current = eventlet.getcurrent()
        self.switch = current.switch
        kind = hub.READ if interest == READ else hub.WRITE
        listener = hub.add(kind, self.fd, self.become_ready, current.throw, self.become_closed)
        try:
            ready: bool = hub.switch()
        except hubs.IOClosed:
            # Closed by another green thread; what it was says why.
            return False
        finally:
            self.switch = None
            hub.remove(listener)
        return ready

    def become_ready(self, _fd: int) -> None:
        if self.switch is not None:
            self.switch(True)

    def become_closed(self) -> None:
        """The descriptor was closed by somebody else; the next use will tell."""

    def rouse(self) -> None:
        if self.switch is not None:
            self.eventlet_hub.schedule_call_global(0, self.end_wait)

    def end_wait(self) -> None:
        if self.switch is not None:
            self.switch(False)

    def close(self) -> None:
        self.rouse()

    def abandon(self) -> None:
        self.switch = None
        self.eventlet_hub = hubs.get_hub()


class EventletHub:
    """The hub of this thread."""

    forker: Forker | None = None

    def __init__(self) -> None:
        self.hub = hubs.get_hub()
        self.rest = self.hub.switch
        self.plain_socket = patcher.original("socket").socket

    def spawn(self, function: Callable[..., object], *args: Any) -> Any:
        return eventlet.spawn(function, *args)

    def resume(self, thread: Any, word: object) -> None:
        self.hub.schedule_call_global(0, thread.switch, word)

    def spot(self, fd: int) -> EventletSpot:
        return EventletSpot(self, fd)

    def later(self, seconds: float, function: Callable[[], object]) -> Any:
        return self.hub.schedule_call_global(seconds, function)

    def kill(self, threads: list[Any], seconds: float) -> None:
        for thread in threads:
            greenthread.kill(thread)
        with eventlet.Timeout(seconds, False):
            for thread in threads:
                while not thread.dead:
                    eventlet.sleep(0.01)

    def is_running(self) -> bool:
        return eventlet.getcurrent() is self.hub.greenlet

    def become_copy(self, log: Any) -> None:
        if not self.is_running():
            self.forker = Forker(log)
        # The one that was is asleep in the kernel's poll set, which is the original's.
        hubs.use_hub()
        self.hub = hubs.get_hub()
        self.rest = self.hub.switch

    def rest_unless_forker(self) -> None:
        """The others do not go on, for their hub does not."""


class EventletWorker(GreenWorker):
    """Serves each connection in a green thread of its own."""

    def become_copy(self) -> None:
        super().become_copy()
        # A KeyboardInterrupt would leave the hub, without which the end of a process of
        # multiprocessing waits for ever.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    @classmethod
    def check_config(cls, _cfg: Config, log: Logger) -> None:
        """Say what is to be expected of eventlet."""
        log.warning(
            "worker_class: eventlet is only maintained by its developers, who advise against it"
            " for new projects. Consider 'gevent'."
        )

    @classmethod
    def patch(cls) -> None:
        """Patch the standard library, all of it."""
        eventlet.monkey_patch()

    @classmethod
    def setup_preload(cls) -> None:
        """The same for a process that loads the application and forks workers.

        Processes stay as they are: that process waits for its children itself.
        """
        eventlet.monkey_patch(os=False)

    def new_hub(self) -> EventletHub:
        # Not the parent's, whose descriptors are shared.
        hubs.use_hub()
        return EventletHub()
