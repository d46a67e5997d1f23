"""How a worker learns at once that its arbiter has died, whatever it is doing.

The arbiter holds the write end of a pipe for as long as it lives, and nobody else does. Linux can
send a signal when a pipe becomes readable, as it does at its end (O_ASYNC, F_SETSIG, fcntl(2)). The
owner of that signal belongs to an open file, not to a descriptor, so each worker opens the pipe
anew by way of /proc. Elsewhere a worker looks at its parent twice a second.
"""

from __future__ import annotations

import fcntl
import os
import signal
from typing import Any

KNOWN = hasattr(fcntl, "F_SETSIG")
"""Whether this system can do it."""


def hold(descriptor: int, log: Any) -> int:
    """Have SIGHUP sent to this process when the write end of the pipe `descriptor` is closed.

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
    fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGHUP)  # type: ignore[attr-defined,unused-ignore] # Linux only
    fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_ASYNC)
    return own
