"""The arbiter: it keeps workers running, and does nothing else.

It binds the sockets, forks the workers, and from then on waits: for signals from the operator,
for the death of a worker, for one that has fallen silent. It never reads a byte from a client and
never imports the application, unless preload asks for it, so nothing that happens to a worker can
happen to it. `Arbiter.run` tells the story; each step is a method of its own.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

from gunicorn import SERVER_SOFTWARE, __version__, certificates, proctitle, systemd
from gunicorn.arbiter import child, commands, pidfile, requirements, rollover, shutdown
from gunicorn.arbiter.generation import Application, Generation
from gunicorn.arbiter.listeners import Listeners
from gunicorn.arbiter.preload import Preload
from gunicorn.arbiter.reaper import ended_children
from gunicorn.arbiter.refork import Refork
from gunicorn.arbiter.signals import SignalQueue, name_of
from gunicorn.arbiter.template_process import succeed
from gunicorn.arbiter.templates import Templates
from gunicorn.arbiter.upgrade import Upgrade
from gunicorn.arbiter.watch import Watch
from gunicorn.arbiter.workforce import Workforce
from gunicorn.compiled import parser_in_use
from gunicorn.cpus import UsableCPUs
from gunicorn.errors import AppImportError, ConfigError, HaltServer
from gunicorn.workers import provisions

if TYPE_CHECKING:
    from gunicorn.arbiter.rollover import Rollover
    from gunicorn.arbiter.template import Template
    from gunicorn.config import Config
    from gunicorn.glogging import Logger
    from gunicorn.sock import Listener
    from gunicorn.workers.base import Worker

PAUSE = 1.0
"""Seconds that the loop sleeps at most, and so the grain of the time-outs."""
ATTENTIVE = 0.05
"""Seconds that it sleeps while it waits for workers to boot: memory tells that, no signal."""
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
        self.signals = SignalQueue()
        self.listeners = Listeners()
        self.upgrade = Upgrade(self)
        self.watchdog = systemd.Watchdog()
        self.pidfile: pidfile.Pidfile | None = None
        self.rollover: Rollover | None = None
        self.reload_wanted = False
        self.ready = False
        self.stopping: str | None = None
        self.stop_at: float | None = None
        self.lifeline = (-1, -1)
        self.faults = 0
        self._num_workers: int | None = None
        self.log: Logger = self.cfg.logger_class(self.cfg)
        self.log_cfg = self.cfg
        self.workforce = Workforce(self)
        self.template_processes = Templates(self)
        self.watch = Watch(self)
        self.preload = Preload(self)
        self.refork = Refork(self)
        self.use(self.cfg)
        self.generation = Generation.of(1, self.cfg, [])

    def run(self) -> NoReturn:
        """Supervise until told to stop; ends in SystemExit with the exit code of the process.

        The process has the signal handlers then that it had before, unless nothing follows in it
        (`ends_process` of the application).
        """
        try:
            status = self.serve()
        finally:
            if os.getpid() == self.pid:
                self.signals.end(for_good=getattr(self.app, "ends_process", False))
                child.close_lifeline(self)
        sys.exit(status)

    def serve(self) -> int:
        """Supervise until told to stop; returns the exit code of the process."""
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
        except BaseException:
            status, self.stopping = child.CRASHED, "quick"
            self.log.exception("Unhandled exception in the arbiter")
        self.stop(graceful=self.stopping == "graceful", asked=status == 0)
        return status

    # -- the story -----------------------------------------------------------------------------

    def start(self) -> None:
        """Everything up to the first worker."""
        self.log.info("Starting gunicorn %s", __version__)
        self.signals.install()
        self.lifeline = os.pipe()
        pidfile.settle(self)
        self.call_first_hook("on_starting")
        self.prepare(self.cfg)
        self.listeners.open(self.cfg, self.log)
        self.generation.listeners = self.LISTENERS
        self.generation.certificates = certificates.keep(self.cfg)
        self.log.info("Listening at: %s (%s)", self.listeners, self.pid)
        self.log.info("Using worker: %s", self.cfg.worker_class_str)
        self.log.info("Using HTTP parser: %s", parser_in_use(self.cfg.http_parser))
        self.explain_number()
        self.load_early()
        proctitle.set_title(f"master [{self.proc_name}]")
        self.call_first_hook("when_ready")
        self.workforce.balance(self.generation, self.num_workers)

    def turn(self) -> None:
        """Once round the loop. A fault of our own is logged, and only endless ones are fatal."""
        came = self.signals.wait(self.pause())
        try:
            for signum in came:
                self.obey(signum)
            self.template_processes.listen()
            self.reap_workers()
            self.watchdog.look()
            if self.stopping:
                return
            self.watch.look()
            self.template_processes.look()
            self.look_at_certificates()
            self.preload.look()
            self.refork.look()
            self.workforce.note_booted()
            self.announce_readiness()
            shutdown.end_delay(self)
            rollover.advance(self)
            self.workforce.balance(self.generation, self.num_workers)
            self.upgrade.follow()
            self.workforce.note_sharing()
            self.faults = 0
        except Exception:
            self.faults += 1
            if self.faults >= FAULTS:
                raise
            self.log.exception("Error in the arbiter, which goes on")

    def fail(self, reason: str, status: int) -> int:
        """Say why there will be no more serving; returns the exit code."""
        self.stopping = "quick"
        self.log.error("Shutting down: %s", self.name)
        self.log.error("Reason: %s", reason)
        return status

    def stop(self, *, graceful: bool, asked: bool = True) -> None:
        """End the workers and let go of everything that outlives a process."""
        self.stopping = "graceful" if graceful else "quick"
        self.notify(f"MAINPID={self.upgrade.child}" if self.upgrade.child else "STOPPING=1")
        self.close_listeners()
        for generation in self.generations():
            generation.end_template()
        shutdown.end_workers(self, graceful=graceful)
        if asked:
            self.log.info("Shutting down: %s", self.name)
        try:
            self.call_hook("on_exit", self)
        finally:
            pidfile.remove(self)

    def close_listeners(self) -> None:
        """Stop accepting; what is beside another arbiter stays open there."""
        try:
            if self.rollover is not None:
                self.rollover.drop_old_listeners()
            self.listeners.close(shared=self.upgrade.beside_another)
        except OSError:
            self.log.exception("A listener could not be closed properly")

    # -- what hooks and plug-ins see -------------------------------------------------------------

    @property
    def WORKERS(self) -> dict[int, Worker]:  # noqa: N802 - a name that hooks rely on
        """pid -> worker."""
        return self.workforce.pool.workers

    @property
    def LISTENERS(self) -> list[Listener]:  # noqa: N802 - a name that hooks rely on
        """The sockets that connections are accepted from."""
        return self.listeners.sockets

    def every_listener(self) -> list[Listener]:
        """All sockets that are open, those that a reload is about to drop included."""
        old = self.rollover.old_sockets if self.rollover else []
        return [*self.LISTENERS, *(one for one in old if one not in self.LISTENERS)]

    def generations(self) -> list[Generation]:
        """The present generation, and during a reload the one before."""
        return [self.generation, *([self.rollover.old] if self.rollover else [])]

    def templates(self) -> list[Template]:
        """The processes that workers are forked from, or were."""
        return list(self.template_processes)

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
    def name(self) -> str:
        """What the log calls it; beside an older arbiter it is the second."""
        return "Master.2" if self.upgrade.parent else "Master"

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

    def call_first_hook(self, name: str) -> None:
        """Call a hook that may end the start, by whatever it raises."""
        try:
            getattr(self.cfg, name)(self)
        except Exception as error:
            raise HaltServer(f"the {name} hook failed\n{child.account(error)}") from error

    def prepare(self, cfg: Config) -> None:
        """Have the worker class of `cfg` set itself up, and refuse what it cannot serve with."""
        cfg.worker_class.setup()
        requirements.check(cfg, self.log)
        provisions.load(cfg)

    def explain_number(self) -> None:
        """Say how many workers `workers = "auto"` has come to."""
        workers = self.cfg.workers
        if isinstance(workers, UsableCPUs):
            noun = "worker" if workers == 1 else "workers"
            self.log.info("Using %d %s: %s", workers, noun, workers.reason)

    def load_early(self) -> None:
        """Load the application before the first fork, if asked to."""
        try:
            self.preload.begin(self.generation)
        except AppImportError as error:
            raise HaltServer(f"App failed to load: {error}", self.APP_LOAD_ERROR) from error
        except Exception as error:
            reason = f"App failed to load.\n{child.account(error)}"
            raise HaltServer(reason, self.WORKER_BOOT_ERROR) from error
        self.preload.finish()

    def succeed(self, generation: Generation, channel: Any) -> NoReturn:
        """In a copy of a worker: be the template of its generation."""
        succeed(self, generation, channel)

    def use_logs(self, cfg: Config) -> None:
        """Log as `cfg` says. ConfigError when that is impossible."""
        before, self.log_cfg = self.log_cfg, cfg
        if cfg.logger_class is not before.logger_class:
            self.log = cfg.logger_class(cfg)
        elif _settings(cfg, "Logging") != _settings(before, "Logging"):
            self.log.setup(cfg)

    # -- watching --------------------------------------------------------------------------------

    def reap_workers(self) -> None:
        """Collect every child that ended: workers, a newer arbiter, and orphans left to PID 1."""
        for death in ended_children(self.template_processes.listen):
            if death.pid == self.upgrade.child:
                self.upgrade.ended(death)
            elif self.preload.ended(death):
                continue
            elif not self.workforce.bury(death):
                self.log.debug("Reaped process %s, which is not a worker", death.pid)

    def announce_readiness(self) -> None:
        """Tell the service manager once the first worker can serve."""
        if not self.ready and (self.workforce.ever_booted or not self.num_workers):
            self.ready = True
            self.notify(f"READY=1\nMAINPID={self.pid}\nSTATUS=Serving at {self.listeners}")

    def notify(self, message: str) -> None:
        """Tell the service manager; an older arbiter, while there is one, speaks for the service.

        It hands the service over by naming its successor when it ends.
        """
        if not self.upgrade.parent:
            systemd.notify(message)

    def pause(self) -> float:
        """Seconds that the loop may sleep."""
        longest = max(0.0, min(PAUSE, self.watchdog.left()))
        if self.faults:
            return longest
        if self.rollover or not self.ready or self.workforce.in_motion or self.refork.member:
            return min(ATTENTIVE, longest)
        now = time.monotonic()
        events = (self.workforce.backoff.until, self.stop_at or 0.0)
        return min([longest, *(event - now for event in events if event > now)])

    def look_at_certificates(self) -> None:
        """Have workers use what the files of the SSL settings hold now."""
        for generation in self.generations():
            if generation.certificates is not None:
                generation.certificates.look(self.log)

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
        self.workforce.signal_all(signal.SIGUSR1)
        for template in self.templates():
            template.signal(signal.SIGUSR1)


def _settings(cfg: Config, section: str) -> list[Any]:
    return [setting.get() for setting in cfg.settings.values() if setting.section == section]
