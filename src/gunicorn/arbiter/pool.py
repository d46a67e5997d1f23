"""The workers: by pid, grouped by generation, with what the arbiter knows of each.

Nothing here forks or kills: the pool answers who is there, who has booted, who is silent and who
should go next, so that the main loop can say what happens in one line each.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from gunicorn.arbiter.generation import Generation

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker

YOUNG = 1.0
"""Seconds; a worker that ends within them of its start died young."""

SETTLING = 2.0
"""Seconds after which a worker that has loaded its application serves, heartbeat or not."""


class Member:
    """A worker, and the arbiter's own notes about it. Times are monotonic seconds."""

    retired: float | None = None
    """When it was asked to end gracefully."""
    aborted: float | None = None
    """When it was sent SIGABRT for being silent."""
    dumped: bool = False
    """Whether the stacks of it were asked for in the hard way."""
    killed: bool = False
    noted_at: float = 0.0
    noted: bool = False
    """Whether the arbiter has taken note of its boot."""
    settled: bool = False
    """Whether it has served for a while after that."""
    outgrown: bool = False
    """Whether the arbiter wishes to replace it, once a successor has booted."""

    def __init__(self, worker: Worker, generation: Generation, started: float) -> None:
        self.worker = worker
        self.generation = generation
        self.started = started
        self._heard = started

    @property
    def pid(self) -> int:
        return self.worker.pid

    @property
    def booted(self) -> bool:
        """Whether the worker serves, which its first heartbeat tells.

        Having loaded the application is not enough: an ASGI application may then still refuse to
        start (its lifespan). A loop that is slow to notify counts a moment after the loading.
        """
        if self.heard > self.started:
            return True
        loaded = self.worker.tmp.booted_at
        return bool(loaded) and time.monotonic() - loaded > SETTLING

    @property
    def heard(self) -> float:
        """When the worker last gave a sign of life; `started` before the first.

        Any worker can write to the scoreboard, so only a time that can be counts.
        """
        beat = self.worker.tmp.last_update()
        if self._heard < beat <= time.monotonic():
            self._heard = beat
        return self._heard

    @property
    def worn(self) -> bool:
        """Whether it is to go when a successor has booted, and to serve until then."""
        return self.outgrown or self.worker.tmp.spent

    @property
    def asked_to_go(self) -> bool:
        return self.retired is not None or self.aborted is not None or self.killed


class Passage(NamedTuple):
    """The next step: which workers to retire now, and how many to start."""

    retire: list[Member]
    start: int


class WorkerPool:
    """Every worker that has been started and not been reaped."""

    def __init__(self) -> None:
        self.workers: dict[int, Worker] = {}
        """pid -> worker, in the order in which they were started."""
        self.members: dict[int, Member] = {}

    def __len__(self) -> int:
        return len(self.members)

    def add(self, worker: Worker, generation: Generation, started: float) -> Member:
        """Take in a worker that was forked after the monotonic time `started` (its pid is set)."""
        member = Member(worker, generation, started)
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

    def passage(self, generation: Generation, wanted: int) -> Passage:
        """What brings the workers to `wanted` ones of a generation without a dip.

        A successor is started first, and then, for each one that has booted, one of those that
        are to be replaced goes: the workers of other generations, and the worn ones of this. A
        generation that stops them first has one less meanwhile.
        """
        staying = [one for one in self.serving(generation) if not one.worn]
        leaving = [one for one in self.members.values() if not one.asked_to_go]
        leaving = [one for one in leaving if one not in staying]
        # What does not serve yet can be missed first, then the oldest.
        staying.sort(key=lambda member: member.booted)
        leaving.sort(key=lambda member: member.booted)
        surplus = staying[: max(0, len(staying) - wanted)]
        staying = staying[len(surplus) :]
        booted = sum(member.booted for member in staying)
        if generation.stops_first and wanted:
            going = leaving[:1] if booted + len(leaving) >= wanted else []
            if generation.loads_alone:
                going = [one for one in leaving if one.generation is not generation]
            # Those that were asked to go are there until they have gone.
            room = wanted - len(self.members)
            return Passage(surplus + going, max(0, min(room, wanted - len(staying))))
        replaced = len(leaving) - (wanted - booted) if booted or not wanted else 0
        most = max(wanted, len(leaving)) + generation.beyond(wanted)
        room = min(wanted, most - len(leaving)) - len(staying)
        return Passage(surplus + leaving[: max(0, replaced)], max(0, room))

    def overdue(self, now: float | None = None) -> list[Member]:
        """The retired workers that are still there after their graceful time-out."""
        now = time.monotonic() if now is None else now
        return [
            member
            for member in self.members.values()
            if member.retired is not None
            and not member.killed
            and member.aborted is None
            # One second more than the worker allows itself, so that it ends by itself.
            and now - member.retired > member.generation.graceful_timeout + 1.0
        ]
