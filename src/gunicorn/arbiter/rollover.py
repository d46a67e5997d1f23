"""A reload in progress: the new generation comes up while the old one serves.

    begin       read the configuration, open what it adds, start the workers of a new generation
    advance     the arbiter starts new workers and retires an old one for each that has booted
    part        before the last of these: sockets that are dropped are left to the old workers
    finish      all have booted: what only the old generation needs is let go
    call off    new workers cannot boot: back to the old configuration and generation

Requests to reload that come meanwhile fold into one more passage after this.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from gunicorn import certificates, proctitle
from gunicorn.arbiter import child, pidfile
from gunicorn.arbiter.generation import Generation
from gunicorn.errors import AppImportError, ConfigError, HaltServer

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter
    from gunicorn.arbiter.template import Template

FAILURES = 3
"""New workers that may fail to boot when others of their generation have booted."""


def advance(arbiter: Arbiter) -> None:
    """Move a reload on, or begin the one that was asked for."""
    if arbiter.rollover is not None:
        arbiter.rollover.advance()
    elif arbiter.reload_wanted and arbiter.stop_at is None:
        arbiter.reload_wanted = False
        begin(arbiter)


def begin(arbiter: Arbiter) -> None:
    """Start a new generation; when that is impossible say why and stay as we are."""
    arbiter.log.info("Hang up: %s", arbiter.name)
    try:
        arbiter.rollover = Rollover(arbiter)
    except (ConfigError, AppImportError) as error:
        _refuse(arbiter, str(error))
    except HaltServer as halt:
        _refuse(arbiter, halt.reason)
    except Exception as error:
        _refuse(arbiter, f"\n{child.account(error)}")


def _refuse(arbiter: Arbiter, reason: str) -> None:
    """Say why nothing changes."""
    arbiter.log.error("Reload called off: %s", reason)
    arbiter.log.error("The old generation goes on serving, with the configuration it has.")
    arbiter.notify("READY=1\nSTATUS=Reload called off: " + reason.strip().splitlines()[-1])


class Rollover:
    """The passage from one generation to the next. The constructor begins it.

    Raises whatever makes the new configuration unusable, with the arbiter as it was.
    """

    def __init__(self, arbiter: Arbiter) -> None:
        self.arbiter = arbiter
        self.old = arbiter.generation
        self.failures = 0
        self.old_workers = arbiter.num_workers
        self.old_sockets = list(arbiter.listeners.sockets)
        self.parted = False
        self.parting: Template | None = None
        """The old template, once it was asked to retire, to be rid of the sockets it has."""
        arbiter.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            self._begin()
        except BaseException:
            # A worker that ends on its way out of a copy of this stack has nothing to restore.
            if os.getpid() == arbiter.pid:
                self._restore()
            raise

    def advance(self) -> None:
        """Finish when every new worker has booted, and no old one is left."""
        pool = self.arbiter.workforce.pool
        if self.new.loads_alone and not any(one.generation is self.old for one in pool.all()):
            self.old.end_template()
        booted = sum(member.booted for member in pool.serving(self.new))
        if booted >= self.arbiter.num_workers and not pool.others(self.new):
            self._finish()

    def fails(self) -> bool:
        """Note that a new worker failed to boot; whether that ends the reload.

        The first failure does, unless others have booted: then it may be chance, up to a bound.
        """
        self.failures += 1
        if self.parted:
            # All had booted, and the old generation is on its way out.
            return False
        return not self.new.booted or self.failures >= FAILURES

    def call_off(self, reason: str) -> None:
        """Go back to the old generation, and say so.

        New workers that serve already go when old ones have taken their places.
        """
        arbiter = self.arbiter
        self._restore()
        arbiter.rollover = None
        self.new.end_template()
        for member in arbiter.workforce.pool.serving(self.new):
            if not member.booted:
                arbiter.workforce.retire(member)
        arbiter.log.error(
            "Reload called off: %s. The old generation goes on serving, with the code and the"
            " configuration it has.", reason,
        )  # fmt: skip
        arbiter.notify(f"STATUS=Reload called off: {reason}")

    def part(self) -> bool:
        """Leave sockets that are dropped to the old workers; whether nobody else has them now.

        Called before the last of these is asked to go: who closes a listener last takes in the
        connections that wait there, and only a worker can serve them.
        """
        dropped = self.drop_old_listeners()
        # Where the last one is stopped first, its successor may still call the reload off.
        self.parted = self.new.booted or dropped
        if dropped and self.old.template is not None:
            self.parting = self.old.template
            self.old.end_template()
        return self.parting is None or self.parting.retired or bool(self.parting.ended_at)

    def drop_old_listeners(self) -> bool:
        """Close the sockets that only the old generation served; whether there were any."""
        sockets = self.arbiter.listeners.sockets
        dropped = [listener for listener in self.old_sockets if listener not in sockets]
        self.old_sockets = [listener for listener in self.old_sockets if listener in sockets]
        for listener in dropped:
            self.arbiter.listeners.discard(listener, shared=self.arbiter.upgrade.beside_another)
        return bool(dropped)

    def _begin(self) -> None:
        arbiter = self.arbiter
        arbiter.app.reload()
        cfg = arbiter.app.cfg
        arbiter.use_logs(cfg)
        arbiter.log.reopen_files()
        arbiter.prepare(cfg)
        arbiter.use(cfg)
        arbiter.explain_number()
        arbiter.call_hook("on_reload", arbiter)
        arbiter.listeners.change(self.old.cfg, cfg, arbiter.log)
        self.new = Generation.of(self.old.number + 1, cfg, list(arbiter.listeners.sockets))
        self.new.certificates = certificates.keep(cfg)
        arbiter.preload.begin(self.new)
        arbiter.generation = self.new
        arbiter.workforce.backoff.succeeded()

    def _restore(self) -> None:
        arbiter = self.arbiter
        for listener in arbiter.listeners.sockets:
            if listener not in self.old_sockets:
                arbiter.listeners.discard(listener, shared=False)
        arbiter.listeners.sockets = self.old_sockets
        self.old.listeners = [one for one in self.old.listeners if one.fileno() >= 0]
        arbiter.generation = self.old
        arbiter.app.cfg = self.old.cfg
        arbiter.use_logs(self.old.cfg)
        if arbiter.cfg is not self.old.cfg:
            arbiter.use(self.old.cfg)
        if arbiter.num_workers != self.old_workers:
            arbiter.num_workers = self.old_workers
        arbiter.notify("READY=1")

    def _finish(self) -> None:
        arbiter = self.arbiter
        arbiter.rollover = None
        self.drop_old_listeners()
        self.old.end_template()
        pidfile.move(arbiter)
        proctitle.set_title(f"master [{arbiter.proc_name}]")
        self._tell_changes()
        arbiter.notify(f"READY=1\nSTATUS=Serving at {arbiter.listeners}")
        arbiter.log.info("Reload done: generation %s serves", self.new.number)

    def _tell_changes(self) -> None:
        """Log what the start logs, where it is another now."""
        arbiter, old, new = self.arbiter, self.old, self.new
        if new.listeners != old.listeners:
            arbiter.log.info("Listening at: %s (%s)", arbiter.listeners, arbiter.pid)
        if new.worker_class is not old.worker_class:
            arbiter.log.info("Using worker: %s", new.cfg.worker_class_str)
