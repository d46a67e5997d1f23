"""SIGTERM ends a worker in good order, whoever handles it.

Applications set handlers of their own, when they are imported or later. Some never return to the
worker's, which then would serve on until it is killed; many raise SystemExit, wherever the main
thread happens to be, which would cut off what is in progress. So the loop looks now and then whose
handler it is, and puts one in the place of a stranger's that calls it and then stops gracefully.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker


class ExitHandler:
    """Who handles SIGTERM in `worker`; made when it has set its handlers."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.expected = self.theirs = signal.getsignal(signal.SIGTERM)

    def mind(self) -> bool:
        """Look for a handler of the application's, and see to it; whether there was a new one.

        Of no effect outside the main thread, in which alone an application can set one.
        """
        found = signal.getsignal(signal.SIGTERM)
        if found == self.expected or not callable(found):
            return False
        try:
            signal.signal(signal.SIGTERM, self.handle)
        except ValueError:
            return False
        signal.siginterrupt(signal.SIGTERM, False)
        self.theirs = found
        self.expected = self.handle
        return True

    def handle(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: what the application does, then what the worker does."""
        worker = self.worker
        assert callable(self.theirs)
        if worker.copied:
            # In a process that the application has forked it is the application's alone.
            self.theirs(sig, frame)
            return
        try:
            self.theirs(sig, frame)
        except SystemExit as ending:
            worker.log.debug("The application's handler of SIGTERM raised %r", ending)
        except BaseException:
            worker.log.exception("Exception in the application's handler of SIGTERM")
        worker.handle_exit(sig, frame)
