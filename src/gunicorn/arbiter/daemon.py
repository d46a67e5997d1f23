"""Becoming a daemon: a process without terminal, session leader or parent (daemon(7)).

Fork, setsid, fork: the first leaves the parent's process group, setsid leaves its session and
terminal, the second gives up the leadership of the new session, so that opening a terminal
device never makes it the controlling one.
"""

from __future__ import annotations

import os
import sys


def daemonize(enable_stdio_inheritance: bool = False) -> None:
    """Put the process into the background; the caller goes on in the daemon.

    Standard input, output and error become /dev/null, except that `enable_stdio_inheritance`
    keeps output and error when they are not a terminal. A process that was started by a binary
    upgrade (it finds GUNICORN_FD) is a daemon already when its parent was one, and stays as it
    is: a further fork would hide it from the arbiter that waits for it.
    """
    if "GUNICORN_FD" in os.environ:
        return
    _leave_parent()
    os.setsid()
    _leave_parent()
    os.umask(0o022)
    sys.stdout.flush()
    sys.stderr.flush()
    _redirect(0, os.O_RDONLY)
    for fd in (1, 2):
        if not (enable_stdio_inheritance and _open_elsewhere(fd)):
            _redirect(fd, os.O_WRONLY)


def _leave_parent() -> None:
    if os.fork():
        # Not sys.exit: what the process registered for its end belongs to the daemon.
        os._exit(0)


def _open_elsewhere(fd: int) -> bool:
    """Whether `fd` is open and no terminal, which would end with its session."""
    try:
        return not os.isatty(fd) and os.fstat(fd) is not None
    except OSError:
        return False


def _redirect(fd: int, flags: int) -> None:
    null = os.open(os.devnull, flags)
    if null != fd:
        os.dup2(null, fd, inheritable=True)
        os.close(null)
    else:
        os.set_inheritable(fd, True)
