"""The worker of green threads: patching, signals and reloading; `greenlets` is its loop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from functools import partial
from types import FrameType
from typing import Any

from gunicorn import reloader
from gunicorn.workers.base import Worker
from gunicorn.workers.greenlets import GreenLoop
from gunicorn.workers.hub import Hub


class GreenWorker(Worker):
    """A worker that serves on green threads; subclasses say on whose."""

    uses_tls = True

    loop: GreenLoop | None = None

    def init_process(self) -> None:
        """Make the standard library cooperative before anything of the user's is imported."""
        self.patch()
        self.postponed: list[Callable[[], None]] = []
        self.hub = self.new_hub()
        super().init_process()

    def become_copy(self) -> None:
        self.hub.become_copy(self.log)

    @classmethod
    def patch(cls) -> None:
        """Replace what waits in the standard library by what lets other green threads go on."""
        raise NotImplementedError

    def new_hub(self) -> Hub:
        """A hub for this process, whatever its parent has had."""
        raise NotImplementedError

    def run(self) -> None:
        """Serve until `alive` is False."""
        self.loop = GreenLoop(self, self.hub)
        self.loop.run()

    def requests_in_progress(self) -> Iterable[tuple[Any, Any]]:
        """The requests that the application works on, each with the address of its client."""
        return self.loop.in_progress() if self.loop is not None else ()

    def init_reloader(self) -> None:
        """Watch by polling: waiting for the kernel would stop every green thread."""
        engine = reloader.engine("poll")
        self.reloader = engine(self.cfg.reload_extra_files, self.handle_source_change)

    # Signals. A handler runs in the middle of whatever was running. In the hub it may not wait,
    # and hooks and log handlers might: those calls are left to the main green thread, which the
    # signal has woken.

    def init_signals(self) -> None:
        super().init_signals()
        for signum in (signal.SIGQUIT, signal.SIGINT, signal.SIGABRT, signal.SIGUSR1):
            handler = signal.getsignal(signum)
            assert callable(handler)
            signal.signal(signum, partial(self.handle_signal, handler))

    def handle_signal(
        self, handler: Callable[[int, FrameType | None], Any], sig: int, frame: FrameType | None
    ) -> None:
        """Call `handler` here, or in the main green thread."""
        if self.hub.is_running():
            self.postponed.append(lambda: handler(sig, None))
        else:
            handler(sig, frame)

    def handle_postponed(self) -> None:
        """Do what signals have asked for."""
        while self.postponed:
            self.postponed.pop(0)()
