"""The sync worker: one request at a time in a process, and no client that can stall it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from gunicorn.workers.balance import Siblings, common_queue
from gunicorn.workers.balanced_sync import BalancedSyncLoop
from gunicorn.workers.base import Worker
from gunicorn.workers.loop import EventLoop
from gunicorn.workers.patches import threads_are_green


class SyncWorker(Worker):
    """Serves requests one after the other; the event loop keeps all clients meanwhile."""

    can_become_template = True
    uses_tls = True
    serves_one_by_one = True

    siblings: ClassVar[Siblings | None] = None
    """The queue that workers pass connections on by; made before they are forked."""

    loop: EventLoop | None = None

    @classmethod
    def setup(cls) -> None:
        cls.siblings = common_queue()

    def run(self) -> None:
        """Serve until `alive` is False."""
        # With green threads who looks out for long calls would be asleep while they last.
        nothing_to_share = self.cfg.is_ssl or not self.cfg.keepalive
        if self.siblings is None or nothing_to_share or threads_are_green():
            self.run_alone()
            return
        self.loop = loop = BalancedSyncLoop(self, self.siblings)
        self.release_listeners = loop.release_listeners
        loop.run()

    def run_alone(self) -> None:
        """Serve without siblings to share connections with."""
        self.loop = EventLoop(self)
        # One thread: whatever interrupts a request does not interrupt the loop at its own work.
        self.release_listeners = self.loop.farewell.release
        self.loop.run()

    def requests_in_progress(self) -> Iterable[tuple[Any, Any]]:
        """The one request that the application works on, with its client's address."""
        return self.loop.in_progress() if self.loop is not None else ()
