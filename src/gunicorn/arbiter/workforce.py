"""The care for workers: start those that are missing, bury the dead, end the silent.

The arbiter's loop says when; here is how. Whether a death matters depends on when it came: a
worker that was asked to go just went, one that served is replaced, and one that never booted
tells something about the application or the configuration.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gunicorn.arbiter import child
from gunicorn.arbiter.backoff import Backoff
from gunicorn.arbiter.pool import YOUNG, Member, WorkerPool
from gunicorn.arbiter.signals import HURRY
from gunicorn.cpus import usable_cpus
from gunicorn.errors import HaltServer
from gunicorn.scoreboard import Scoreboard, Slot

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter
    from gunicorn.arbiter.generation import Generation
    from gunicorn.arbiter.reaper import Death
    from gunicorn.arbiter.template import Birth
    from gunicorn.workers.base import Worker

MEANT = (signal.SIGKILL, *HURRY)
"""Signals that a worker dies of because somebody wants it to, not because of its application."""
BOOT_ROUNDS = 5
"""Attempts to boot the first worker before giving up, when workers die without saying why."""
SUCCESSORS = 2
"""Successors that may fail to boot before the worker that they replace is stopped first."""
HEAD_START = 1.0
"""Seconds at the start in which workers are started one for each CPU, until one serves."""
PLACES = 256
"""Slots of the scoreboard made at the start; a template knows those that were there before it."""


class Workforce:
    """The workers of an arbiter and what keeps them at the right number."""

    def __init__(self, arbiter: Arbiter) -> None:
        self.arbiter = arbiter
        self.pool = WorkerPool()
        self.backoff = Backoff()
        self.board = Scoreboard(max(PLACES, 8 * arbiter.cfg.workers))
        self.started = 0
        self.ever_booted = False
        self.cpus = int(usable_cpus())
        self.began = time.monotonic()

    # -- birth -----------------------------------------------------------------------------------

    def balance(self, generation: Generation, wanted: int) -> None:
        """Go a step towards `wanted` workers of the generation, and no others."""
        passage = self.pool.passage(generation, wanted)
        if self._may_retire(passage.retire, generation):
            for member in passage.retire:
                self.retire(member)
        expected = self.arbiter.template_processes.expected(generation)
        for _ in range(min(passage.start - expected, self._at_once())):
            if not self.backoff.over(time.monotonic()):
                break
            self.spawn(generation)

    def _may_retire(self, members: Sequence[Member], generation: Generation) -> bool:
        """Whether these may go now; the last of an old generation wait for what must precede."""
        rollover = self.arbiter.rollover
        others = self.pool.others(generation)
        return (
            rollover is None
            or not others
            or any(member not in members for member in others)
            or rollover.part()
        )

    def _at_once(self) -> int:
        """How many more workers may be started now.

        At the start no more than there are CPUs, until the first serves or a moment has passed:
        all at once would slow each other down, and the first answer would come as late as the last.
        """
        now = time.monotonic()
        if self.ever_booted or now - self.began > HEAD_START:
            return sys.maxsize
        return max(0, self.cpus - len(self.pool) - self.arbiter.template_processes.expected())

    def spawn(self, generation: Generation) -> None:
        """Fork one worker, or ask its template for one, unless that is not ready yet.

        What keeps it from being forked is logged, and tried again later; HaltServer when no
        worker has ever booted, and none is going to.
        """
        arbiter = self.arbiter
        template = arbiter.preload.template_of(generation)
        if template is None and generation.wants_template:
            return
        self.started += 1
        slot = self.board.acquire()
        slot.stopping = arbiter.stop_at is not None
        slot.shared = self._shares_listeners()
        started = time.monotonic()
        try:
            worker = self.make(generation, self.started, slot)
            if template is not None:
                template.ask(worker, slot, self.board.index(slot))
            else:
                self._fork(generation, worker)
                self.pool.add(worker, generation, started)
        except Exception as error:
            self.board.release(slot)
            self._note_failed_start(child.account(error))

    def take_in(self, birth: Birth, generation: Generation) -> None:
        """Take in a worker that a template has forked (its pid is set)."""
        member = self.pool.add(birth.worker, generation, birth.asked)
        if self.arbiter.stopping:
            # The others have been asked already.
            self.signal(member, signal.SIGTERM)

    def take_back(self, birth: Birth, reason: str) -> None:
        """Note that a template did not fork the worker that it was asked for."""
        self.board.release(birth.slot)
        if not self.arbiter.stopping:
            self._note_failed_start(reason)

    def _note_failed_start(self, reason: str) -> None:
        delay = self.backoff.failed(time.monotonic())
        what = "A worker could not be started"
        if not self.ever_booted and self.backoff.rounds >= BOOT_ROUNDS:
            raise HaltServer(f"{what}.\n{reason}", child.WORKER_BOOT_ERROR)
        self.arbiter.log.error("%s; next attempt in %.1f s\n%s", what, delay, reason)

    def make(self, generation: Generation, age: int, slot: Slot) -> Worker:
        """The worker object of a new worker, which lives in it and in its parent."""
        arbiter = self.arbiter
        worker = generation.worker_class(
            age,
            arbiter.pid,
            generation.listeners,
            arbiter.app,
            generation.timeout / 2.0,
            generation.cfg,
            arbiter.log,
        )
        worker.tmp = slot
        if generation.certificates is not None:
            worker.certificates = generation.certificates.reader
        worker.generation = generation.number
        slot.generation = generation.number
        return worker

    def _fork(self, generation: Generation, worker: Worker) -> None:
        generation.cfg.pre_fork(self.arbiter, worker)
        with self.arbiter.signals.held():
            worker.pid = os.fork()
            if worker.pid == 0:
                worker.pid = os.getpid()
                child.live(self.arbiter, worker, generation)

    def note_booted(self) -> None:
        """Take note of workers that serve, and later of those that have done so for a while."""
        now = time.monotonic()
        for member in self.pool.all():
            if not member.noted and member.booted:
                self._note(member)
            elif member.noted and not member.settled and now - member.noted_at > YOUNG:
                member.settled = True
                self.backoff.succeeded()

    def _note(self, member: Member) -> None:
        member.noted = True
        member.noted_at = time.monotonic()
        member.generation.booted = self.ever_booted = True
        member.generation.failed_successors = 0
        member.generation.stopping_helped |= bool(member.generation.stopping_helps)

    @property
    def in_motion(self) -> bool:
        """Whether something is to happen soon of which no signal tells."""
        return any(
            member.aborted is not None
            or (not member.asked_to_go and (not member.noted or member.worn))
            for member in self.pool.members.values()
        )

    # -- death -----------------------------------------------------------------------------------

    def bury(self, death: Death) -> bool:
        """Log how a worker ended, tell the hook, draw conclusions; False if it was no worker.

        HaltServer when no worker has ever booted, and none is going to.
        """
        arbiter = self.arbiter
        member = self.pool.remove(death.pid)
        if member is None:
            return False
        if member.booted and not member.noted:
            self._note(member)
        # Some end in good order by themselves: to be renewed, or with the rest of the group.
        in_order = member.worn or member.generation.cfg.reload or bool(arbiter.stopping)
        expected = member.asked_to_go or (death.success and in_order)
        arbiter.log.log(*death.report(expected=expected))
        arbiter.call_hook("child_exit", arbiter, member.worker)
        self.board.release(member.worker.tmp)
        if member.retired is None and not arbiter.stopping:
            self._conclude(member, death)
        return True

    def _conclude(self, member: Member, death: Death) -> None:
        now = time.monotonic()
        if not member.noted:
            self._judge_boot_failure(member, death, now)
        elif not death.success and not member.settled and death.signum not in MEANT:
            delay = self.backoff.failed(now)
            self.arbiter.log.error(
                "Worker (pid:%s) failed %.1f s after it had booted; next attempt in %.1f s",
                death.pid, now - member.noted_at, delay,
            )  # fmt: skip

    def _judge_boot_failure(self, member: Member, death: Death, now: float) -> None:
        """Call a reload off, give up, or try again later."""
        arbiter = self.arbiter
        rollover = arbiter.rollover
        if rollover and member.generation is rollover.new and rollover.fails():
            rollover.call_off(f"worker {death.pid} of the new generation failed to boot")
            return
        self._judge_successor(member.generation)
        delay = self.backoff.failed(now)
        if not self.ever_booted:
            if death.code == child.APP_LOAD_ERROR:
                raise HaltServer("App failed to load.", child.APP_LOAD_ERROR)
            if death.code == child.WORKER_BOOT_ERROR or self.backoff.rounds >= BOOT_ROUNDS:
                raise HaltServer("Worker failed to boot.", child.WORKER_BOOT_ERROR)
        arbiter.log.error(
            "Worker (pid:%s) failed to boot (%s); next attempt in %.1f s",
            death.pid, death.signal_name or f"code {death.code}", delay,
        )  # fmt: skip

    def _judge_successor(self, generation: Generation) -> None:
        """Find out whether the old worker is in the way of a successor that failed to boot.

        It may hold what only one process can have. After SUCCESSORS failures it is stopped first;
        should the next one fail nevertheless, that was not the reason, and no other is stopped.
        """
        serving = [one for one in self.pool.serving(generation) if one.booted]
        worn = [one for one in serving if one.worn]
        if generation.stopping_helps and not generation.stopping_helped:
            generation.stopping_helps = False
        elif worn and len(serving) >= self.arbiter.num_workers and not generation.stops_first:
            generation.failed_successors += 1
            if generation.failed_successors >= SUCCESSORS and generation.stopping_helps is None:
                generation.stopping_helps = True
                self.arbiter.log.warning(
                    "%s successors of worker %s failed to boot: it is stopped before the next,"
                    " as with reload_surge = 0", generation.failed_successors, worn[0].pid,
                )  # fmt: skip

    # -- signals ---------------------------------------------------------------------------------

    def retire(self, member: Member) -> None:
        """Have a worker finish its requests and end; listeners that are dropped are its last."""
        listeners = self.arbiter.listeners.sockets
        dropped = [one for one in member.worker.sockets if one not in listeners]
        self._close(member, [] if self._shares_listeners() else dropped)
        self.signal(member, signal.SIGTERM)

    def end_all(self, *, graceful: bool) -> None:
        """Have every worker end, after its requests if `graceful`."""
        shared = self._shares_listeners()
        for member in self.pool.all():
            member.worker.tmp.stopping = True
            self._close(member, [] if shared else member.worker.sockets)
            self.signal(member, signal.SIGTERM if graceful else signal.SIGQUIT)

    def note_sharing(self, shared: bool | None = None) -> None:
        """Let workers know whether they and this arbiter are the only ones to have the listeners.

        They cannot ask when they need to know: when the arbiter is gone.
        """
        shared = self._shares_listeners() if shared is None else shared
        for member in self.pool.all():
            member.worker.tmp.shared = shared

    def _shares_listeners(self) -> bool:
        """Whether somebody else may accept from the listeners that are closed here."""
        return bool(self.arbiter.upgrade.beside_another or self.arbiter.listeners.lent)

    @staticmethod
    def _close(member: Member, listeners: Sequence[Any]) -> None:
        """Tell a worker which listeners nobody will accept from when it has ended."""
        sockets = member.worker.sockets
        bits = (1 << index for index, one in enumerate(sockets) if one in listeners)
        member.worker.tmp.closing = sum(bits)

    def abort(self, member: Member) -> None:
        """Have a worker tell what it is stuck in, and end; `Watch` insists on that."""
        member.aborted = time.monotonic()
        member.worker.tmp.given_up = True
        self.signal(member, signal.SIGABRT)

    def signal_all(self, signum: int) -> None:
        """Send a signal to every worker."""
        for member in self.pool.all():
            self.signal(member, signum)

    def signal(self, member: Member, signum: int) -> None:
        """Send a signal to a worker, and note that its end was our wish."""
        if signum in HURRY and member.retired is None:
            member.retired = time.monotonic()
        if signum == signal.SIGTERM and not member.booted:
            # It has no requests to finish, and would finish importing the application instead.
            signum = signal.SIGINT
        elif signum == signal.SIGKILL:
            member.killed = True
        try:
            os.kill(member.pid, signum)
        except ProcessLookupError:
            self.arbiter.log.debug("Worker %s is gone already", member.pid)
