"""Collect the children that ended, and say how they ended.

Every child is collected, not only workers: as PID 1 of a container the arbiter inherits the
orphans of others, and a process that nobody waits for stays a zombie for ever (wait(2)).
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gunicorn.arbiter.signals import name_of


class Death(NamedTuple):
    """How a process ended: by itself with `code`, or by the signal `signum`."""

    pid: int
    code: int | None = None
    signum: int | None = None

    @classmethod
    def of(cls, pid: int, status: int) -> Death:
        """Read a status as waitpid(2) reports it."""
        if os.WIFSIGNALED(status):
            return cls(pid, signum=os.WTERMSIG(status))
        return cls(pid, code=os.WEXITSTATUS(status))

    @property
    def success(self) -> bool:
        return self.code == 0

    @property
    def signal_name(self) -> str:
        """The name of the signal that ended it, or nothing."""
        return name_of(self.signum) if self.signum is not None else ""

    def report(self, *, expected: bool) -> tuple[int, str]:
        """A log level and one line for the operator.

        `expected`: the arbiter had asked this worker to go, so dying of a signal is no news.
        """
        if self.signum is None:
            line = f"Worker (pid:{self.pid}) exited with code {self.code}"
            if not self.success:
                return logging.ERROR, f"{line}."
            if expected:
                return logging.DEBUG, f"{line}."
            return logging.INFO, f"{line}; the arbiter had not asked it to."
        line = f"Worker (pid:{self.pid}) was sent {self.signal_name}!"
        if expected:
            return logging.INFO, line
        if self.signum == signal.SIGKILL:
            return logging.ERROR, f"{line} Perhaps out of memory?"
        level = logging.WARNING if self.signum == signal.SIGTERM else logging.ERROR
        return level, line


def ended_children(listen: Callable[[], None] | None = None) -> Iterator[Death]:
    """Collect every child that has ended, without waiting for one.

    `listen` is called when one has ended and is not collected yet: to hear what it said before.
    """
    while True:
        try:
            if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return
            if listen is not None:
                listen()
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield Death.of(pid, status)
