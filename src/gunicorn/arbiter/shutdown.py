"""The end of the server: a delay if one is wished for, then the workers: ask, wait, insist.

During `shutdown_delay` everything goes on, except that health checks fail.

A graceful end asks with TERM, a quick one with QUIT and then INT. Who is left after
`graceful_timeout` seconds tells what it is busy with, and is killed. An operator who sends INT or
QUIT meanwhile is in a hurry: a graceful end becomes a quick one, and a quick one kills at once.
TERM again, which supervisors and orchestrators send, changes nothing.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from gunicorn.arbiter.signals import HURRY
from gunicorn.arbiter.watch import PATIENCE

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter

ECHO = 0.5
"""Seconds. A signal again within them is an echo: sent to the group and forwarded as well."""

INSIST = 1.0
"""Seconds after QUIT when INT follows, for worker classes whose loop only listens to that."""

LAST_WAIT = 5.0
"""Seconds to wait for processes that were killed; one stuck in the kernel is left to init."""


def begin_delay(arbiter: Arbiter) -> None:
    """Go on serving for `shutdown_delay`, while the application's health checks fail."""
    arbiter.stop_at = time.monotonic() + arbiter.cfg.shutdown_delay
    arbiter.log.info("Stopping in %g s (shutdown_delay)", arbiter.cfg.shutdown_delay)
    arbiter.notify("STOPPING=1\nSTATUS=Serving until shutdown_delay is over")
    for member in arbiter.workforce.pool.all():
        member.worker.tmp.stopping = True


def end_delay(arbiter: Arbiter) -> None:
    """Stop when the delay is over."""
    if arbiter.stop_at is not None and time.monotonic() >= arbiter.stop_at:
        arbiter.stopping = arbiter.stopping or "graceful"


def end_workers(arbiter: Arbiter, *, graceful: bool) -> None:
    """Return when no worker is left, nor a template, which ends after its workers."""
    pool = arbiter.workforce.pool
    asked = time.monotonic()
    deadline = asked + arbiter.cfg.graceful_timeout
    insisted = False
    arbiter.workforce.end_all(graceful=graceful)
    while _anybody(arbiter) and (now := time.monotonic()) < deadline:
        for signum in arbiter.signals.wait(min(0.1, deadline - now)):
            if signum == signal.SIGUSR1:
                arbiter.reopen_logs()
            elif signum in HURRY and now - asked > ECHO:
                arbiter.log.info("Handling signal: %s", arbiter.signal_name(signum))
                if signum == signal.SIGTERM:
                    arbiter.log.info("Stopping already; INT or QUIT cuts short what is in progress")
                    continue
                if not graceful:
                    deadline = now
                    break
                graceful, asked = False, now
                arbiter.workforce.end_all(graceful=False)
        if not (graceful or insisted) and now - asked > INSIST:
            insisted = True
            arbiter.workforce.signal_all(signal.SIGINT)
        _take_note(arbiter)
    if len(pool):
        arbiter.log.warning("Killing workers that did not stop: %s", sorted(pool.workers))
        if graceful:
            for member in pool.all():
                arbiter.workforce.abort(member)
            _await_the_killed(arbiter, PATIENCE)
        arbiter.workforce.signal_all(signal.SIGKILL)
        _await_the_killed(arbiter, LAST_WAIT)
    if arbiter.template_processes.running():
        # Those whose workers took all the time have a moment of their own.
        _await_the_killed(arbiter, PATIENCE)
        for template in arbiter.templates():
            template.signal(signal.SIGKILL)
        _await_the_killed(arbiter, LAST_WAIT)


def _anybody(arbiter: Arbiter) -> bool:
    return bool(len(arbiter.workforce.pool)) or arbiter.template_processes.running()


def _take_note(arbiter: Arbiter) -> None:
    """Of what has happened meanwhile."""
    arbiter.watchdog.look()
    arbiter.template_processes.listen()
    arbiter.reap_workers()
    arbiter.template_processes.look()


def _await_the_killed(arbiter: Arbiter, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while _anybody(arbiter) and time.monotonic() < deadline:
        arbiter.signals.wait(0.1)
        _take_note(arbiter)
