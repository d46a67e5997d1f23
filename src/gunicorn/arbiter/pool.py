"""The workers: by pid, grouped by generation, with what the arbiter knows of each.

Nothing here forks or kills: the pool answers who is there, who has booted, who is silent and who
should go next, so that the main loop can say what happens in one line each.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gunicorn.arbiter.generation import Generation

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker

YOUNG = 1.0
"""Seconds; a worker that ends within them of its start died young."""

SETTLING = 2.0
"""Seconds after which a worker that has loaded its application serves, heartbeat or not."""


@dataclass(eq=False)
class Member:
    """A worker, and the arbiter's own notes about it. Times are monotonic seconds."""

    worker: Worker
    generation: Generation
    started: float
    retired: float | None = None
    """When it was asked to end gracefully."""
    aborted: float | None = None
    """When it was sent SIGABRT for being silent."""
    killed: bool = False
    noted: bool = False
    """Whether the arbiter has taken note of its boot."""

    @property
    def pid(self) -> int:
        return self.worker.pid

    @property
    def booted(self) -> bool:
        """Whether the worker serves, which its first heartbeat tells.

        Having loaded the application is not enough: an ASGI application may then still refuse to
        start (its lifespan). A loop that is slow to notify counts a moment after the loading.
        """
        slot = self.worker.tmp
        if slot.last_update() > self.started:
            return True
        return slot.booted and time.monotonic() - slot.booted_at > SETTLING

    @property
    def asked_to_go(self) -> bool:
        return self.retired is not None or self.aborted is not None or self.killed


class WorkerPool:
    """Every worker that has been started and not been reaped."""

    def __init__(self) -> None:
        self.workers: dict[int, Worker] = {}
        """pid -> worker, in the order in which they were started."""
        self.members: dict[int, Member] = {}

    def __len__(self) -> int:
        return len(self.members)

    def add(self, worker: Worker, generation: Generation) -> Member:
        """Take in a worker that has just been forked (its pid is set)."""
        member = Member(worker, generation, worker.tmp.last_update())
        self.workers[worker.pid] = worker
        self.members[worker.pid] = member
        return member

    def remove(self, pid: int) -> Member | None:
        """Take out a worker that was reaped; None when `pid` is no worker's."""
        self.workers.pop(pid, None)
        return self.members.pop(pid, None)

    def all(self) -> list[Member]:
        """Every worker, oldest first."""
        return list(self.members.values())

    def serving(self, generation: Generation) -> list[Member]:
        """The workers of a generation that have not been asked to go, oldest first."""
        return [
            member
            for member in self.members.values()
            if member.generation is generation and not member.asked_to_go
        ]

    def others(self, generation: Generation) -> list[Member]:
        """The workers of all other generations that have not been asked to go, oldest first."""
        return [
            member
            for member in self.members.values()
            if member.generation is not generation and not member.asked_to_go
        ]

    def silent(self, now: float | None = None) -> list[Member]:
        """The workers whose last heartbeat is older than their generation's time-out."""
        now = time.monotonic() if now is None else now
        return [
            member
            for member in self.members.values()
            if member.generation.timeout
            and now - member.worker.tmp.last_update() > member.generation.timeout
        ]

    def overdue(self, now: float | None = None) -> list[Member]:
        """The retired workers that are still there after their graceful time-out."""
        now = time.monotonic() if now is None else now
        return [
            member
            for member in self.members.values()
            if member.retired is not None
            and not member.killed
            # One second more than the worker allows itself, so that it ends by itself.
            and now - member.retired > member.generation.graceful_timeout + 1.0
        ]
