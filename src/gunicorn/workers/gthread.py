"""The worker class that runs the application on several threads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar

from gunicorn.errors import AppImportError, ConfigError
from gunicorn.workers.balance import Siblings, common_queue
from gunicorn.workers.base import Worker
from gunicorn.workers.patches import threads_are_green
from gunicorn.workers.threads import ThreadLoop

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.glogging import Logger


GREEN = (
    "worker_class 'gthread' needs the threads of the system, and {} has put green ones in their"
    " place (gevent.monkey.patch_all, eventlet.monkey_patch). A call that waits would keep all"
    " others waiting, and the worker itself. Use worker_class 'gevent' or 'eventlet', or leave the"
    " threads as they are (thread=False)."
)


class ThreadWorker(Worker):
    """Serves as many requests at a time as `threads` says; the event loop keeps all clients.

    The main thread is left to signals and to the loop, so a hanging application stops neither.
    """

    limits_requests = True
    uses_tls = True

    siblings: ClassVar[Siblings | None] = None
    """The queue that workers pass connections on by; made before they are forked."""

    loop: ThreadLoop | None = None

    @classmethod
    def setup(cls) -> None:
        cls.siblings = common_queue()

    @classmethod
    def check_config(cls, _cfg: Config, _log: Logger) -> None:
        """Refuse threads that the configuration file has made green."""
        if threads_are_green():
            raise ConfigError(GREEN.format("the configuration file"))

    def load_wsgi(self) -> None:
        """Load the application, and refuse threads that it has made green."""
        super().load_wsgi()
        if threads_are_green():
            raise AppImportError(GREEN.format("the application"))

    def run(self) -> None:
        """Serve until `alive` is False."""
        self.loop = ThreadLoop(self, None if self.cfg.is_ssl else self.siblings)
        self.loop.run()

    def requests_in_progress(self) -> Iterable[tuple[Any, Any]]:
        """The requests that the application works on, each with its client's address."""
        return self.loop.in_progress() if self.loop is not None else ()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: finish the requests in progress, then stop."""
        super().handle_exit(sig, frame)
        # Another thread may have read what the signal wrote there before this ran.
        with contextlib.suppress(BlockingIOError):
            os.write(self.PIPE[1], b"\0")
