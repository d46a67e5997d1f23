"""Binary upgrade: a new arbiter, from a newly read program, beside the old one.

USR2 makes the old arbiter fork, and the child execute the command line anew, with the listening
sockets inherited. Both serve. The operator then ends the old one (TERM), after WINCH perhaps,
or ends the new one, and the old goes on as if nothing had been.

    GUNICORN_FD    descriptors of the sockets, separated by commas
    GUNICORN_PID   pid of the old arbiter, whose child the new one is as long as the old one lives
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from gunicorn.arbiter import pidfile

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter
    from gunicorn.arbiter.reaper import Death

FDS = "GUNICORN_FD"
PARENT = "GUNICORN_PID"
ORIGIN = "GUNICORN_FD_ORIGIN"


def _working_directory() -> str:
    """The folder as the shell called it: a link that names the current release stays a link."""
    real = os.getcwd()
    called = os.environ.get("PWD", "")
    try:
        return called if called and os.path.samefile(called, real) else real
    except OSError:
        return real


class Command:
    """How this process was started; taken when the module is imported, before any chdir."""

    def __init__(self) -> None:
        self.cwd = _working_directory()
        self.executable = sys.executable or sys.orig_argv[0]
        self.arguments = tuple(sys.orig_argv)

    def execute(self, environment: dict[str, str]) -> NoReturn:
        """Become that command again. OSError when it cannot be executed."""
        os.chdir(self.cwd)
        os.execve(self.executable, self.arguments, environment)


STARTED = Command()


def inherited_fds() -> tuple[list[int], str]:
    """The descriptors that the old arbiter left, and their origin; none when this is no upgrade.

    The variables are meant for one process, so they are taken out of the environment.
    """
    text = os.environ.pop(FDS, "")
    origin = os.environ.pop(ORIGIN, "")
    return [int(fd) for fd in text.split(",") if fd.strip().isdecimal()], origin


def inherited_parent() -> int:
    """The pid of the old arbiter while this one is its child, otherwise 0."""
    text = os.environ.pop(PARENT, "")
    return int(text) if text.isdecimal() and int(text) == os.getppid() else 0


class Upgrade:
    """An arbiter's relatives: `child`, the newer one it started, and `parent`, the older one.

    Both are pids, 0 for none.
    """

    def __init__(self, arbiter: Arbiter) -> None:
        self.arbiter = arbiter
        self.child = 0
        self.parent = inherited_parent()
        self.upgraded = bool(self.parent)

    @property
    def beside_another(self) -> bool:
        """Whether another arbiter serves the same sockets."""
        return bool(self.child or self.parent)

    def start(self) -> None:
        """Fork, and execute the command line anew in the child."""
        arbiter = self.arbiter
        if self.child:
            arbiter.log.warning("USR2 signal ignored. Child exists.")
            return
        if self.parent:
            arbiter.log.warning("USR2 signal ignored. Parent exists.")
            return
        arbiter.workforce.note_sharing(shared=True)
        with arbiter.signals.held():
            pid = os.fork()
            if pid == 0:
                self._become_new()
        self.child = pid
        arbiter.log.info("Started a new master (pid: %s)", pid)

    def ended(self, death: Death) -> None:
        """The new arbiter is gone, by will or by failure: serve as if it had never been."""
        arbiter = self.arbiter
        self.child = 0
        how = death.signal_name or f"code {death.code}"
        level = arbiter.log.info if death.success else arbiter.log.error
        level("The new master (pid: %s) ended with %s; this one goes on", death.pid, how)
        if not death.success:
            arbiter.log.error("If the log has no reason, run the command with --check-config")
        if not arbiter.num_workers:
            # They had been stopped in its favour.
            arbiter.num_workers = arbiter.cfg.workers

    def follow(self) -> None:
        """When the old arbiter has gone, take its place: its pidfile, and its supervisor's eye."""
        arbiter = self.arbiter
        if self.parent and os.getppid() != self.parent:
            arbiter.log.info("Master has been promoted.")
            self.parent = 0
            pidfile.move(arbiter)
            # It was for the old one to say so; now it is for this one, once it can serve.
            arbiter.ready = False

    def _become_new(self) -> NoReturn:
        arbiter = self.arbiter
        try:
            arbiter.signals.forget()
            # Inherited by the new program, which a rotation of logs would kill until it listens.
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            arbiter.cfg.pre_exec(arbiter)
            for listener in arbiter.LISTENERS:
                listener.set_inheritable(True)
            STARTED.execute(self._environment())
        except BaseException:
            arbiter.log.exception("The new master cannot be started: %s", STARTED.arguments)
        os._exit(1)

    def _environment(self) -> dict[str, str]:
        """The variables of the new arbiter, seen from the process that becomes it.

        The service manager waits for the signs of life of the main process, and that is the new
        one as soon as the old has handed over, which may then finish requests for a long time.
        """
        watched = {"WATCHDOG_PID": str(os.getpid())} if self.arbiter.watchdog.pid else {}
        return {
            **os.environ,
            **watched,
            FDS: ",".join(str(listener.fileno()) for listener in self.arbiter.LISTENERS),
            PARENT: str(self.arbiter.pid),
            ORIGIN: self.arbiter.listeners.origin,
        }
