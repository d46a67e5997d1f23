"""What the operator's signals mean, one function each (settings.md has the table for users)."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gunicorn.arbiter.shutdown import ECHO, begin_delay

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter


def stop_gracefully(arbiter: Arbiter) -> None:
    """TERM: finish the requests in progress, then end; with `shutdown_delay`, after that.

    A second one ends the delay, but not one that only is the echo of the first. There is none
    beside another arbiter, which goes on accepting from the same listeners.
    """
    if not arbiter.cfg.shutdown_delay or arbiter.stopping or arbiter.upgrade.beside_another:
        arbiter.stopping = arbiter.stopping or "graceful"
    elif arbiter.stop_at is None:
        begin_delay(arbiter)
    elif time.monotonic() - (arbiter.stop_at - arbiter.cfg.shutdown_delay) > ECHO:
        arbiter.stopping = "graceful"


def stop_quickly(arbiter: Arbiter) -> None:
    """INT, QUIT: end now."""
    arbiter.stopping = "quick"


def reload(arbiter: Arbiter) -> None:
    """HUP: a new generation with the configuration and the code of now.

    During a reload another HUP only notes that one more is wanted, however many come.
    """
    arbiter.reload_wanted = True


def one_more(arbiter: Arbiter) -> None:
    """TTIN: one worker more."""
    arbiter.num_workers += 1


def one_less(arbiter: Arbiter) -> None:
    """TTOU: one worker less, but never the last."""
    if arbiter.num_workers > 1:
        arbiter.num_workers -= 1


def reopen_logs(arbiter: Arbiter) -> None:
    """USR1: reopen the log files, after a rotation."""
    arbiter.reopen_logs()


def upgrade(arbiter: Arbiter) -> None:
    """USR2: start a new binary beside this one."""
    arbiter.upgrade.start()


def stop_workers(arbiter: Arbiter) -> None:
    """WINCH: end the workers and stay; for the old arbiter of an upgrade.

    In the foreground the signal only says that somebody resized the terminal.
    """
    if arbiter.detached:
        arbiter.log.info("Stopping the workers gracefully")
        arbiter.num_workers = 0
    else:
        arbiter.log.debug("SIGWINCH ignored. Not daemonized")


TABLE: dict[int, Callable[[Arbiter], None]] = {
    signal.SIGTERM: stop_gracefully,
    signal.SIGINT: stop_quickly,
    signal.SIGQUIT: stop_quickly,
    signal.SIGHUP: reload,
    signal.SIGTTIN: one_more,
    signal.SIGTTOU: one_less,
    signal.SIGUSR1: reopen_logs,
    signal.SIGUSR2: upgrade,
    signal.SIGWINCH: stop_workers,
}
