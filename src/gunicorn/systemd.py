"""What a service manager and its service say to each other.

- Readiness and state go up as datagrams to the socket named by `NOTIFY_SOCKET` (sd_notify(3)).
- So do signs of life, where the manager waits for them (sd_watchdog_enabled(3)).
- Listening sockets come down as descriptors from 3 on, counted by `LISTEN_FDS` and meant for the
  process named by `LISTEN_PID` (sd_listen_fds(3)).

Without a service manager all are quiet no-ops, so callers need not ask whether there is one.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from math import inf

SD_LISTEN_FDS_START = 3
"""The first descriptor passed by the service manager (sd_listen_fds(3))."""


def notify(message: str) -> bool:
    """Send a state such as "READY=1\\nSTATUS=Serving" to the service manager; never raises.

    Returns whether it was sent: False when there is no manager, its address is not a unix socket,
    or nobody listens there. Several assignments are separated by newlines.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        # An abstract socket: the kernel wants a NUL where the variable has an at sign.
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            # A manager that reads nothing must not hold up the server.
            sock.setblocking(False)
            sock.sendto(message.encode(), address)
    except OSError:
        # Reported by the return value: telling the manager is a courtesy, serving comes first.
        return False
    return True


class Watchdog:
    """The signs of life (WATCHDOG=1) that the manager asks for in `WATCHDOG_USEC`.

    They are sent at twice the pace that it wants, and none when it wants none, or wants them of
    another process (`WATCHDOG_PID`). `interval` is in seconds, and infinite then.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        wanted, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        self.interval = inf
        self.pid = 0
        """The process that is to send them, if the manager named this one."""
        if wanted.isdecimal() and int(wanted) > 0 and pid in {"", str(os.getpid())}:
            self.interval = int(wanted) / 2e6
            self.pid = int(pid or 0)
        self._due = time.monotonic() if self.interval < inf else inf

    def left(self) -> float:
        """Seconds until the next is due; infinite when none is wanted, negative when it is late."""
        return self._due - time.monotonic()

    def look(self) -> None:
        """Send a sign of life if one is due."""
        if self.left() <= 0:
            self._due = time.monotonic() + self.interval
            notify("WATCHDOG=1")


def listen_fds(unset_environment: bool = True) -> list[int]:
    """Return the descriptors of the listening sockets passed by the service manager.

    Empty when there are none, when they are meant for another process (`LISTEN_PID`), or when the
    variables are not numbers. `unset_environment` removes the variables, so that no process
    started from here takes the sockets for its own. The descriptors are made non-inheritable.
    """
    pid = os.environ.get("LISTEN_PID", "")
    count = os.environ.get("LISTEN_FDS", "")
    if unset_environment:
        for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
            os.environ.pop(name, None)
    if not pid.isdecimal() or not count.isdecimal() or int(pid) != os.getpid():
        return []
    fds = list(range(SD_LISTEN_FDS_START, SD_LISTEN_FDS_START + int(count)))
    for fd in fds:
        os.set_inheritable(fd, False)
    return fds
