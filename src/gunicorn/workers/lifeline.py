"""How a worker learns at once that its arbiter has died, whatever it is doing.

The arbiter holds the write end of a pipe for as long as it lives, and nobody else does. Linux can
send a signal when a pipe becomes readable, as it does at its end (O_ASYNC, F_SETSIG, fcntl(2)). The
owner of that signal belongs to an open file, not to a descriptor, so each worker opens the pipe
anew by way of /proc. Elsewhere a worker looks at its parent twice a second.

Our workers get SIGHUP, which they can tell from a request to end: they let the listeners go also in
the middle of a request. Classes that do without our signal handlers get what every server of
theirs understands, SIGTERM.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
from time import monotonic, sleep
from typing import Any

from gunicorn import syscalls

KNOWN = hasattr(fcntl, "F_SETSIG")
"""Whether this system can do it."""

DYING = 1.0
"""Seconds between the end of the pipe and the moment when the arbiter is no parent any more."""


def hold(descriptor: int, log: Any) -> int:
    """Have SIGTERM sent to this process when the write end of the pipe `descriptor` is closed.

    Called before the user is dropped, who may not open the pipe. Returns the descriptor that is
    held for it, or -1.
    """
    if descriptor < 0 or not KNOWN:
        return -1
    try:
        own = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        log.debug("The end of the arbiter will be noticed late: %s", error)
        return -1
    send(own, signal.SIGTERM)
    fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_ASYNC)
    return own


def send(own: int, signum: int) -> None:
    """Have another signal sent in place of SIGTERM; `own` is what `hold` has returned."""
    if own >= 0:
        fcntl.fcntl(own, fcntl.F_SETSIG, signum)  # type: ignore[attr-defined,unused-ignore] # Linux only


def await_orphanage(descriptor: int, parent: int) -> bool:
    """Whether `parent`, which holds the write end of the pipe `descriptor`, is dead.

    The kernel closes the files of a process that dies first, and gives its children to another
    later: on a busy machine some milliseconds, for which this waits.
    """
    if os.getppid() != parent:
        return True
    if descriptor < 0:
        return False
    pipe = syscalls.poll()
    pipe.register(descriptor, 0)
    if not any(events & select.POLLHUP for _, events in pipe.poll(0)):
        return False
    deadline = monotonic() + DYING
    while os.getppid() == parent and monotonic() < deadline:
        sleep(0.001)
    return os.getppid() != parent
