"""The eye on workers that should not go on: they hang, overstay, or have grown.

The arbiter sees all of it from outside: heartbeats and the beginning of the present request are in
shared memory, resident memory is in /proc. So nothing that a worker is stuck in can hide it.

    hangs       SIGABRT, to which it answers with its request and its stacks; then SIGURG, which
                prints the stacks of one that cannot run Python any more; then SIGKILL
    overstays   was asked to end, and is busy after its graceful time: the same
    has grown   a successor is booted, then it is asked to end; far beyond the limit, SIGKILL
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter
    from gunicorn.arbiter.pool import Member

PATIENCE = 1.0
"""Seconds after SIGABRT, in which a hanging worker tells where it hangs and ends."""
DUMPING = 0.3
"""Seconds more for the stacks of one that did not."""
HARD_LIMIT = 1.5
"""Times `worker_max_memory` at which a worker is killed at once."""
WEIGHING = 1.0
"""Seconds between two looks at the memory of the workers."""


class Watch:
    """Looks at every worker of an arbiter, and does what must be done."""

    def __init__(self, arbiter: Arbiter) -> None:
        self.arbiter = arbiter
        self.weighed = 0.0

    def look(self) -> None:
        """Look at all workers once."""
        workforce = self.arbiter.workforce
        now = time.monotonic()
        for member in workforce.pool.all():
            if member.aborted is not None:
                self._insist(member, now - member.aborted)
            elif reason := hangs(member, now):
                self.arbiter.log.critical("WORKER TIMEOUT (pid:%s): %s", member.pid, reason)
                workforce.abort(member)
        for member in workforce.pool.overdue(now):
            self.arbiter.log.warning(
                "Killing worker %s: still busy after its graceful time", member.pid
            )
            workforce.abort(member)
        if now - self.weighed >= WEIGHING:
            self.weighed = now
            self._weigh_all()

    def _insist(self, member: Member, since: float) -> None:
        workforce = self.arbiter.workforce
        if since >= PATIENCE + DUMPING:
            workforce.signal(member, signal.SIGKILL)
        elif since >= PATIENCE and not member.dumped:
            member.dumped = True
            workforce.signal(member, signal.SIGURG)

    def _weigh_all(self) -> None:
        members = [one for one in self.arbiter.workforce.pool.all() if one.generation.max_memory]
        # One at a time, as they will have grown together.
        replacing = any(member.outgrown and not member.asked_to_go for member in members)
        for member in members:
            slot = member.worker.tmp
            if member.aborted or member.killed:
                continue
            size, limit = resident_memory(member.pid), member.generation.max_memory
            if not (slot.requests or slot.busy_since):
                # Before its first request a worker has not grown, whatever its size.
                if size > limit and member.booted:
                    self._warn_of_limit(member, size)
                continue
            if size > limit * HARD_LIMIT:
                self.arbiter.log.error(
                    "Killing worker (pid:%s): it has %s of memory, more than %s times"
                    " worker_max_memory (%s)",
                    member.pid, megabytes(size), HARD_LIMIT, megabytes(limit),
                )  # fmt: skip
                self.arbiter.workforce.signal(member, signal.SIGKILL)
            elif size > limit and not (replacing or member.worn or member.asked_to_go):
                member.outgrown = replacing = True
                self.arbiter.log.warning(
                    "Replacing worker (pid:%s): it has %s of memory, worker_max_memory is %s",
                    member.pid, megabytes(size), megabytes(limit),
                )  # fmt: skip

    def _warn_of_limit(self, member: Member, size: int) -> None:
        """Say once in a generation that no worker can stay within its limit."""
        if not member.generation.limit_is_low:
            member.generation.limit_is_low = True
            self.arbiter.log.warning(
                "Worker (pid:%s) has %s of memory and has served nothing yet: worker_max_memory"
                " (%s) is too low, and each worker will be replaced when it has served",
                member.pid, megabytes(size), megabytes(member.generation.max_memory),
            )  # fmt: skip


def hangs(member: Member, now: float) -> str:
    """Why a worker is taken for hanging; nothing when it is not."""
    generation, slot = member.generation, member.worker.tmp
    if not member.booted:
        limit = generation.boot_timeout or generation.timeout
        if limit and now - member.started > limit:
            return f"not booted after {now - member.started:.1f} s (the limit is {limit:g} s)"
        return ""
    silence = now - member.heard
    if generation.timeout and silence > generation.timeout:
        return f"no sign of life for {silence:.1f} s (timeout is {generation.timeout:g} s)"
    since = slot.busy_since
    if generation.request_timeout and since and now - since > generation.request_timeout:
        limit = generation.request_timeout
        return f"a request for {now - since:.1f} s (request_timeout is {limit:g} s)"
    return ""


def resident_memory(pid: int) -> int:
    """The resident memory of a process in bytes (proc(5)); 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        # It ends this moment, or has ended, and is reaped next.
        return 0


def megabytes(size: int) -> str:
    """A size as people read it."""
    return f"{size / 1024**2:.1f} MB"
