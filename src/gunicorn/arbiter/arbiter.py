"""The arbiter: it keeps workers running, and does nothing else.

It binds the sockets, forks the workers, and from then on waits: for signals from the operator,
for the death of a worker, for one that has fallen silent. It never reads a byte from a client and
never imports the application, unless preload asks for it, so nothing that happens to a worker can
happen to it. `Arbiter.run` tells the story; each step is a method of its own.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

from gunicorn import SERVER_SOFTWARE, __version__, proctitle, systemd
from gunicorn.arbiter import child, commands, shutdown
from gunicorn.arbiter.backoff import Backoff
from gunicorn.arbiter.generation import Application, Generation
from gunicorn.arbiter.listeners import Listeners
from gunicorn.arbiter.pidfile import Pidfile
from gunicorn.arbiter.pool import YOUNG, Member, WorkerPool
from gunicorn.arbiter.reaper import Death, ended_children
from gunicorn.arbiter.rollover import Rollover
from gunicorn.arbiter.signals import SignalQueue, name_of
from gunicorn.arbiter.upgrade import Upgrade
from gunicorn.errors import ConfigError, HaltServer
from gunicorn.scoreboard import Scoreboard

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.glogging import Logger
    from gunicorn.sock import Listener
    from gunicorn.workers.base import Worker

PAUSE = 1.0
"""Seconds that the loop sleeps at most, and so the grain of the time-outs."""
ATTENTIVE = 0.05
"""Seconds that it sleeps while it waits for workers to boot: memory tells that, no signal."""
BOOT_ROUNDS = 5
"""Attempts to boot the first worker before giving up, when workers die without saying why."""
FAULTS = 5
"""Passes of the loop in a row that may fail before the arbiter gives up."""


class Arbiter:
    """The supervisor of the workers that serve `app`. `run()` does not return."""

    WORKER_BOOT_ERROR = child.WORKER_BOOT_ERROR
    APP_LOAD_ERROR = child.APP_LOAD_ERROR

    def __init__(self, app: Application) -> None:
        os.environ["SERVER_SOFTWARE"] = SERVER_SOFTWARE
        self.app = app
        self.cfg: Config = app.cfg
        self.pid = os.getpid()
        self.worker_age = 0
        self.pool = WorkerPool()
        self.signals = SignalQueue()
        self.listeners = Listeners()
        self.backoff = Backoff()
        self.upgrade = Upgrade(self)
        self.pidfile: Pidfile | None = None
        self.rollover: Rollover | None = None
        self.reload_wanted = False
        self.ready = False
        self.ever_booted = False
        self.stopping: str | None = None
        self.faults = 0
        self._num_workers: int | None = None
        self.log: Logger = self.cfg.logger_class(self.cfg)
        self.use(self.cfg)
        self.generation = Generation.of(1, self.cfg, [])
        self.board = Scoreboard(max(8, 2 * self.num_workers))

    def run(self) -> NoReturn:
        """Supervise until told to stop; ends in SystemExit with the exit code of the process."""
        status = 0
        try:
            self.start()
            while not self.stopping:
                self.turn()
        except HaltServer as halt:
            status = self.fail(halt.reason, halt.exit_status)
        except ConfigError as error:
            status = self.fail(str(error), 1)
        except SystemExit as ending:
            if os.getpid() != self.pid:
                # The end of a worker, on its way out of the copy of this stack.
                raise
            status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
            self.stopping = "quick"
        except Exception:
            status, self.stopping = child.CRASHED, "quick"
            self.log.exception("Unhandled exception in the arbiter")
        self.stop(graceful=self.stopping == "graceful", asked=status == 0)
        sys.exit(status)

    # -- the story -----------------------------------------------------------------------------

    def start(self) -> None:
        """Everything up to the first worker."""
        self.log.info("Starting gunicorn %s", __version__)
        self.signals.install()
        self.create_pidfile()
        self.cfg.on_starting(self)
        self.worker_class.setup()
        self.worker_class.check_config(self.cfg, self.log)
        self.listeners.open(self.cfg, self.log)
        self.generation.listeners = self.LISTENERS
        self.log.info("Listening at: %s (%s)", self.listeners, self.pid)
        self.log.info("Using worker: %s", self.cfg.worker_class_str)
        self.preload()
        proctitle.set_title(f"master [{self.proc_name}]")
        self.cfg.when_ready(self)

    def turn(self) -> None:
        """Once round the loop. A fault of our own is logged, and only endless ones are fatal."""
        came = self.signals.wait(self.pause())
        try:
            for signum in came:
                self.obey(signum)
            self.reap_workers()
            self.kill_silent_workers()
            self.note_booted_workers()
            self.advance_reload()
            self.balance_workers()
            self.upgrade.follow()
            self.faults = 0
        except Exception:
            self.faults += 1
            if self.faults >= FAULTS:
                raise
            self.log.exception("Error in the arbiter, which goes on")

    def fail(self, reason: str, status: int) -> int:
        """Say why there will be no more serving; returns the exit code."""
        self.stopping = "quick"
        self.log.error("Shutting down: Master")
        self.log.error("Reason: %s", reason)
        return status

    def stop(self, *, graceful: bool, asked: bool = True) -> None:
        """End the workers and let go of everything that outlives a process."""
        self.stopping = "graceful" if graceful else "quick"
        systemd.notify("STOPPING=1")
        self.listeners.close(shared=self.upgrade.beside_another)
        shutdown.end_workers(self, graceful=graceful)
        if asked:
            self.log.info("Shutting down: Master")
        self.call_hook("on_exit", self)
        if self.pidfile is not None:
            self.pidfile.unlink()

    # -- what hooks and plug-ins see -------------------------------------------------------------

    @property
    def WORKERS(self) -> dict[int, Worker]:  # noqa: N802 - a name that hooks rely on
        """pid -> worker."""
        return self.pool.workers

    @property
    def LISTENERS(self) -> list[Listener]:  # noqa: N802 - a name that hooks rely on
        """The sockets that connections are accepted from."""
        return self.listeners.sockets

    @property
    def num_workers(self) -> int:
        """How many workers there ought to be. Setting it calls nworkers_changed."""
        return self._num_workers or 0

    @num_workers.setter
    def num_workers(self, value: int) -> None:
        old, self._num_workers = self._num_workers, value
        self.call_hook("nworkers_changed", self, value, old)

    @property
    def master_pid(self) -> int:
        """The pid of the arbiter that this one is to succeed; 0 when there is none."""
        return self.upgrade.parent

    @property
    def detached(self) -> bool:
        """Whether no terminal can resize under this arbiter: a daemon, or part of an upgrade."""
        return bool(self.cfg.daemon or self.upgrade.child or self.upgrade.upgraded)

    def use(self, cfg: Config) -> None:
        """Take the arbiter's own settings from `cfg`."""
        self.cfg = cfg
        self.worker_class = cfg.worker_class
        self.address = cfg.address
        self.timeout = cfg.timeout
        self.proc_name = cfg.proc_name
        self.num_workers = cfg.workers

    def call_hook(self, name: str, *args: Any) -> None:
        """Call a hook that must not be able to stop the arbiter."""
        try:
            getattr(self.cfg, name)(*args)
        except Exception:
            self.log.exception("Exception in the %s hook", name)

    # -- starting --------------------------------------------------------------------------------

    def create_pidfile(self) -> None:
        """Write the pidfile; beside an older arbiter its name ends in `.2`."""
        if self.cfg.pidfile:
            self.pidfile = Pidfile(self.cfg.pidfile + (".2" if self.upgrade.parent else ""))
            self.pidfile.create(self.pid)

    def rename_pidfile(self) -> None:
        """Give the pidfile the name that the configuration has now."""
        if self.pidfile is not None and self.cfg.pidfile and not self.upgrade.parent:
            self.pidfile.rename(self.cfg.pidfile)

    def preload(self) -> None:
        """Load the application before the first fork, if asked to."""
        if self.cfg.preload_app:
            self.app.wsgi()
            # Pages that the collector never writes to stay shared with the workers.
            gc.collect()
            gc.freeze()

    # -- workers: birth --------------------------------------------------------------------------

    def balance_workers(self) -> None:
        """Start the workers that are missing, retire those that are too many."""
        if self.stopping:
            return
        serving = self.pool.serving(self.generation)
        for member in serving[: max(0, len(serving) - self.num_workers)]:
            self.retire(member)
        for _ in range(self.num_workers - len(serving)):
            if not self.backoff.over(time.monotonic()):
                break
            self.spawn_worker()

    def spawn_worker(self) -> None:
        """Fork one worker of the current generation."""
        generation = self.generation
        self.worker_age += 1
        slot = self.board.acquire()
        slot.generation = generation.number
        try:
            worker = generation.worker_class(
                self.worker_age,
                self.pid,
                generation.listeners,
                self.app,
                generation.timeout / 2.0,
                generation.cfg,
                self.log,
            )
            worker.tmp = slot
            worker.generation = generation.number
            generation.cfg.pre_fork(self, worker)
            with self.signals.held():
                worker.pid = os.fork()
                if worker.pid == 0:
                    worker.pid = os.getpid()
                    child.live(self, worker)
                self.pool.add(worker, generation)
        except Exception:
            self.board.release(slot)
            delay = self.backoff.failed(time.monotonic())
            self.log.exception("A worker could not be started; next attempt in %.1f s", delay)

    def every_listener(self) -> list[Listener]:
        """All sockets that are open, those that a reload is about to drop included."""
        old = self.rollover.old_sockets if self.rollover else []
        return [*self.LISTENERS, *(one for one in old if one not in self.LISTENERS)]

    def note_booted_workers(self) -> None:
        """Take note of workers that have loaded the application since the last pass."""
        for member in self.pool.all():
            if member.booted and not member.noted:
                member.noted = True
                member.generation.booted = self.ever_booted = True
                self.backoff.succeeded()
        if not self.ready and (self.ever_booted or not self.num_workers):
            self.ready = True
            systemd.notify(f"READY=1\nMAINPID={self.pid}\nSTATUS=Serving at {self.listeners}")

    # -- workers: death --------------------------------------------------------------------------

    def reap_workers(self) -> None:
        """Collect every child that ended, and draw conclusions."""
        for death in ended_children():
            if death.pid == self.upgrade.child:
                self.upgrade.ended(death)
                continue
            member = self.pool.remove(death.pid)
            if member is None:
                self.log.debug("Reaped process %s, which is not a worker", death.pid)
                continue
            self.bury(member, death)

    def bury(self, member: Member, death: Death) -> None:
        """Log how a worker ended, tell the hook, and see to it that it does not go on so."""
        booted = member.booted
        self.log.log(*death.report(expected=member.asked_to_go))
        self.call_hook("child_exit", self, member.worker)
        self.board.release(member.worker.tmp)
        if member.retired is not None or self.stopping:
            return
        if not booted:
            self.judge_boot_failure(member, death)
        elif not death.success and time.monotonic() - member.started < YOUNG:
            self.backoff.failed(time.monotonic())

    def judge_boot_failure(self, member: Member, death: Death) -> None:
        """A worker died before it could serve: call off, give up or try again later."""
        rollover = self.rollover
        if rollover and member.generation is rollover.new and not rollover.new.booted:
            rollover.call_off(f"worker {death.pid} of the new generation failed to boot")
            return
        delay = self.backoff.failed(time.monotonic())
        if not self.ever_booted:
            if death.code == self.APP_LOAD_ERROR:
                raise HaltServer("App failed to load.", self.APP_LOAD_ERROR)
            if death.code == self.WORKER_BOOT_ERROR or self.backoff.rounds >= BOOT_ROUNDS:
                raise HaltServer("Worker failed to boot.", self.WORKER_BOOT_ERROR)
        self.log.error("Worker (pid:%s) failed to boot; next in %.1f s", death.pid, delay)

    def kill_silent_workers(self) -> None:
        """Abort workers without a heartbeat; kill those that survive that, or a retirement."""
        now = time.monotonic()
        for member in self.pool.silent(now):
            if member.aborted is None:
                member.aborted = now
                self.log.critical("WORKER TIMEOUT (pid:%s)", member.pid)
                self.signal_worker(member, signal.SIGABRT)
            elif now - member.aborted >= PAUSE:
                self.signal_worker(member, signal.SIGKILL)
        for member in self.pool.overdue(now):
            self.log.warning("Killing worker %s: still busy after its graceful time", member.pid)
            self.signal_worker(member, signal.SIGKILL)

    def retire(self, member: Member) -> None:
        """Have a worker finish its requests and end."""
        self.signal_worker(member, signal.SIGTERM)

    def signal_workers(self, signum: int) -> None:
        """Send a signal to every worker."""
        for member in self.pool.all():
            self.signal_worker(member, signum)

    def signal_worker(self, member: Member, signum: int) -> None:
        """Send a signal to a worker, and note that it was us."""
        if signum in shutdown.HURRY and member.retired is None:
            member.retired = time.monotonic()
        elif signum == signal.SIGKILL:
            member.killed = True
        try:
            os.kill(member.pid, signum)
        except ProcessLookupError:
            self.log.debug("Worker %s is gone already", member.pid)

    # -- commands ----------------------------------------------------------------------------------

    def obey(self, signum: int) -> None:
        """Do what a signal asks for."""
        if signum != signal.SIGCHLD:
            self.log.info("Handling signal: %s", self.signal_name(signum))
            commands.TABLE[signal.Signals(signum)](self)

    def signal_name(self, signum: int) -> str:
        """The name as the log has it: "term"."""
        return name_of(signum).removeprefix("SIG").lower()

    def reopen_logs(self) -> None:
        """Reopen the log files, here and in every worker."""
        self.log.reopen_files()
        self.signal_workers(signal.SIGUSR1)

    def advance_reload(self) -> None:
        """Move a reload on, or begin the one that was asked for."""
        if self.rollover is not None:
            self.rollover.advance()
        elif self.reload_wanted:
            self.reload_wanted = False
            self.begin_reload()

    def begin_reload(self) -> None:
        """Start a new generation; when that is impossible say why and stay as we are."""
        self.log.info("Hang up: Master")
        try:
            self.rollover = Rollover(self)
        except ConfigError as error:
            self.refuse_reload(str(error))
        except HaltServer as halt:
            self.refuse_reload(halt.reason)
        except Exception:
            self.log.exception("Reload called off")

    def refuse_reload(self, reason: str) -> None:
        """Say why nothing changes."""
        self.log.error("Reload called off: %s. The previous configuration goes on.", reason)

    def pause(self) -> float:
        """Seconds that the loop may sleep."""
        if self.faults:
            return PAUSE
        if self.rollover or not self.ready:
            return ATTENTIVE
        return min(PAUSE, max(0.0, self.backoff.until - time.monotonic()) or PAUSE)
