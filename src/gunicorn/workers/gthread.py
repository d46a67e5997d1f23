"""The worker class that runs the application on several threads."""

from __future__ import annotations

import contextlib
import os
from types import FrameType

from gunicorn.workers.base import Worker
from gunicorn.workers.threads import ThreadLoop


class ThreadWorker(Worker):
    """Serves as many requests at a time as `threads` says; the event loop keeps all clients.

    The main thread is left to signals and to the loop, so a hanging application stops neither.
    """

    def run(self) -> None:
        """Serve until `alive` is False."""
        ThreadLoop(self, self.cfg.threads).run()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: finish the requests in progress, then stop."""
        super().handle_exit(sig, frame)
        # Another thread may have read what the signal wrote there before this ran.
        with contextlib.suppress(BlockingIOError):
            os.write(self.PIPE[1], b"\0")
