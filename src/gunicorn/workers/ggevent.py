"""The worker class that serves on gevent; importing it needs the gevent package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

try:
    import gevent
    from gevent import monkey
    from gevent.hub import get_hub
except ImportError as error:
    raise ImportError(
        "worker class 'gevent' needs the gevent package."
        " Install it with: pip install 'gunicorn[gevent]'",
        name="gevent",
    ) from error

from gunicorn.workers.green_worker import GreenWorker
from gunicorn.workers.hub import Forker, Spot
from gunicorn.workers.poller import READ

EV_READ = 1
EV_WRITE = 2


class GeventSpot(Spot):
    """Where one greenlet at a time waits for a descriptor."""

    __slots__ = ("fd", "gevent_hub", "hub", "interest", "switch", "watcher")

    def __init__(self, hub: GeventHub, fd: int) -> None:
        self.hub = hub
        self.gevent_hub = hub.hub
        self.fd = fd
        self.interest = 0
        self.watcher: Any = None
        self.switch: Callable[[bool], object] | None = None

    def wait(self, interest: int) -> bool:
        if interest != self.interest:
            self.watch(interest)
        self.switch = gevent.getcurrent().switch
        self.watcher.start(self.switch, True)
        try:
            ready: bool = self.gevent_hub.switch()
        finally:
            self.switch = None
            if self.watcher is not None:
                self.watcher.stop()
        return ready

    def watch(self, interest: int) -> None:
        if self.watcher is not None:
            self.watcher.close()
        self.watcher = self.gevent_hub.loop.io(self.fd, EV_READ if interest == READ else EV_WRITE)
        self.interest = interest

    def rouse(self) -> None:
        if self.switch is not None:
            self.gevent_hub.loop.run_callback(self.end_wait)

    def end_wait(self) -> None:
        if self.switch is not None:
            self.switch(False)

    def close(self) -> None:
        if self.watcher is not None:
            self.watcher.stop()
            self.watcher.close()
            self.watcher = None
            self.interest = 0
        self.rouse()

    def abandon(self) -> None:
        self.switch = None
        if self.watcher is not None:
            self.watcher.stop()


class GeventTimer:
    """A call that is due later, as gevent has them."""

    __slots__ = ("watcher",)

    def __init__(self, watcher: Any) -> None:
        self.watcher = watcher

    def cancel(self) -> None:
        self.watcher.stop()
        self.watcher.close()


class GeventHub:
    """The hub of this thread."""

    forker: Forker | None = None

    def __init__(self) -> None:
        self.hub = get_hub()
        self.rest = self.hub.switch
        self.plain_socket = monkey.get_original("socket", "socket")

    def spawn(self, function: Callable[..., object], *args: Any) -> Any:
        return gevent.spawn(function, *args)

    def resume(self, thread: Any, word: object) -> None:
        self.hub.loop.run_callback(thread.switch, word)

    def spot(self, fd: int) -> GeventSpot:
        return GeventSpot(self, fd)

    def later(self, seconds: float, function: Callable[[], object]) -> GeventTimer:
        watcher = self.hub.loop.timer(seconds)
        watcher.start(function)
        return GeventTimer(watcher)

    def kill(self, threads: list[Any], seconds: float) -> None:
        gevent.killall(threads, block=True, timeout=seconds)

    def is_running(self) -> bool:
        return gevent.getcurrent() is self.hub

    def become_copy(self, log: Any) -> None:
        # The loop is the application's as well: gevent sees to it after a fork.
        if not self.is_running():
            self.forker = Forker(log)

    def rest_unless_forker(self) -> None:
        while self.forker is not None and gevent.getcurrent() is not self.forker.thread:
            self.hub.switch()


class GeventWorker(GreenWorker):
    """Serves each connection in a greenlet of its own."""

    late_modules = ("gevent.resolver.thread", "gevent.threadpool")

    wsgi_handler: ClassVar[type[Any] | None] = None
    """A `gevent.pywsgi.WSGIHandler` that a subclass brings; see `gevent_handlers`."""

    def run(self) -> None:
        """Serve until `alive` is False."""
        if self.wsgi_handler is None:
            super().run()
            return
        from gunicorn.workers.gevent_handlers import HandlerServers  # noqa: PLC0415 - rarely needed

        HandlerServers(self, self.wsgi_handler).run()

    @classmethod
    def patch(cls) -> None:
        """Patch the standard library, all of it."""
        if monkey.is_module_patched("socket"):
            # By `setup_preload`, or by the application that was preloaded.
            monkey.patch_os()
            monkey.patch_signal()
        else:
            monkey.patch_all()

    @classmethod
    def setup_preload(cls) -> None:
        """The same for a process that loads the application and forks workers.

        Processes and signals stay as they are: that process waits for its children itself.
        """
        monkey.patch_all(os=False, signal=False)

    def new_hub(self) -> GeventHub:
        # Of no effect unless the parent had a hub.
        gevent.reinit()
        return GeventHub()


GeventPyWSGIWorker = GeventWorker
"""The name under which configurations may know the class."""
