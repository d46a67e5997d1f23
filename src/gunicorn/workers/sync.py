"""The sync worker: one request at a time in a process, and no client that can stall it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gunicorn.workers.base import Worker
from gunicorn.workers.loop import EventLoop


class SyncWorker(Worker):
    """Serves requests one after the other; the event loop keeps all clients meanwhile."""

    can_become_template = True

    loop: EventLoop | None = None

    def run(self) -> None:
        """Serve until `alive` is False."""
        self.loop = EventLoop(self)
        # One thread: whatever interrupts a request does not interrupt the loop at its own work.
        self.release_listeners = self.loop.farewell.release
        self.loop.run()

    def requests_in_progress(self) -> Iterable[tuple[Any, Any]]:
        """The one request that the application works on, with its client's address."""
        return self.loop.in_progress() if self.loop is not None else ()
