"""The sync worker: one request at a time in a process, and no client that can stall it."""

from __future__ import annotations

from gunicorn.workers.base import Worker
from gunicorn.workers.loop import EventLoop


class SyncWorker(Worker):
    """Serves requests one after the other; the event loop keeps all clients meanwhile."""

    def run(self) -> None:
        """Serve until `alive` is False."""
        EventLoop(self).run()
