"""The care for workers: start those that are missing, bury the dead, end the silent.

The arbiter's loop says when; here is how. Whether a death matters depends on when it came: a
worker that was asked to go just went, one that served is replaced, and one that never booted
tells something about the application or the configuration.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from gunicorn.arbiter import child
from gunicorn.arbiter.backoff import Backoff
from gunicorn.arbiter.pool import YOUNG, Member, WorkerPool
from gunicorn.arbiter.signals import HURRY
from gunicorn.errors import HaltServer
from gunicorn.scoreboard import Scoreboard

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter
    from gunicorn.arbiter.generation import Generation
    from gunicorn.arbiter.reaper import Death

BOOT_ROUNDS = 5
"""Attempts to boot the first worker before giving up, when workers die without saying why."""
PATIENCE = 1.0
"""Seconds between the SIGABRT that lets a silent worker tell where it hangs, and SIGKILL."""


class Workforce:
    """The workers of an arbiter and what keeps them at the right number."""

    def __init__(self, arbiter: Arbiter) -> None:
        self.arbiter = arbiter
        self.pool = WorkerPool()
        self.backoff = Backoff()
        self.board = Scoreboard(max(8, 2 * arbiter.cfg.workers))
        self.started = 0
        self.ever_booted = False

    # -- birth -----------------------------------------------------------------------------------

    def balance(self, generation: Generation, wanted: int) -> None:
        """Bring the workers of the generation to the number wanted; the oldest go first."""
        serving = self.pool.serving(generation)
        for member in serving[: max(0, len(serving) - wanted)]:
            self.retire(member)
        for _ in range(wanted - len(serving)):
            if not self.backoff.over(time.monotonic()):
                break
            self.spawn(generation)

    def spawn(self, generation: Generation) -> None:
        """Fork one worker. What keeps it from being forked is logged, and tried again later."""
        arbiter = self.arbiter
        self.started += 1
        slot = self.board.acquire()
        slot.generation = generation.number
        try:
            worker = generation.worker_class(
                self.started,
                arbiter.pid,
                generation.listeners,
                arbiter.app,
                generation.timeout / 2.0,
                generation.cfg,
                arbiter.log,
            )
            worker.tmp = slot
            worker.generation = generation.number
            generation.cfg.pre_fork(arbiter, worker)
            with arbiter.signals.held():
                worker.pid = os.fork()
                if worker.pid == 0:
                    worker.pid = os.getpid()
                    child.live(arbiter, worker)
                self.pool.add(worker, generation)
        except Exception:
            self.board.release(slot)
            delay = self.backoff.failed(time.monotonic())
            arbiter.log.exception("A worker could not be started; next attempt in %.1f s", delay)

    def note_booted(self) -> None:
        """Take note of workers that have loaded the application since the last time."""
        for member in self.pool.all():
            if member.booted and not member.noted:
                self._note(member)

    def _note(self, member: Member) -> None:
        member.noted = True
        member.generation.booted = self.ever_booted = True
        self.backoff.succeeded()

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
        arbiter.log.log(*death.report(expected=member.asked_to_go))
        arbiter.call_hook("child_exit", arbiter, member.worker)
        self.board.release(member.worker.tmp)
        if member.retired is None and not arbiter.stopping:
            self._conclude(member, death)
        return True

    def _conclude(self, member: Member, death: Death) -> None:
        now = time.monotonic()
        if not member.noted:
            self._judge_boot_failure(member, death, now)
        elif not death.success and now - member.started < YOUNG:
            self.backoff.failed(now)

    def _judge_boot_failure(self, member: Member, death: Death, now: float) -> None:
        """Call a reload off, give up, or try again later."""
        arbiter = self.arbiter
        rollover = arbiter.rollover
        if rollover and member.generation is rollover.new and not rollover.new.booted:
            rollover.call_off(f"worker {death.pid} of the new generation failed to boot")
            return
        delay = self.backoff.failed(now)
        if not self.ever_booted:
            if death.code == child.APP_LOAD_ERROR:
                raise HaltServer("App failed to load.", child.APP_LOAD_ERROR)
            if death.code == child.WORKER_BOOT_ERROR or self.backoff.rounds >= BOOT_ROUNDS:
                raise HaltServer("Worker failed to boot.", child.WORKER_BOOT_ERROR)
        arbiter.log.error(
            "Worker (pid:%s) failed to boot; next attempt in %.1f s", death.pid, delay
        )

    def end_silent(self) -> None:
        """Abort workers without a heartbeat; kill those that survive that, or a retirement."""
        log = self.arbiter.log
        now = time.monotonic()
        for member in self.pool.silent(now):
            if member.aborted is None:
                log.critical("WORKER TIMEOUT (pid:%s)", member.pid)
                member.aborted = now
                self.signal(member, signal.SIGABRT)
            elif now - member.aborted >= PATIENCE:
                self.signal(member, signal.SIGKILL)
        for member in self.pool.overdue(now):
            log.warning("Killing worker %s: still busy after its graceful time", member.pid)
            self.signal(member, signal.SIGKILL)

    # -- signals ---------------------------------------------------------------------------------

    def retire(self, member: Member) -> None:
        """Have a worker finish its requests and end."""
        self.signal(member, signal.SIGTERM)

    def end_all(self, *, graceful: bool) -> None:
        """Have every worker end, after its requests if `graceful`."""
        for member in self.pool.all():
            self.signal(member, signal.SIGTERM if graceful else signal.SIGQUIT)

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
