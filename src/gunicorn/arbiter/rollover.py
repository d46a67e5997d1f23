"""A reload in progress: the new generation comes up while the old one serves.

    begin       read the configuration, open what it adds, start the workers of a new generation
    advance     for each new worker that has booted, retire one old worker
    finish      all have booted: what only the old generation needs is let go
    call off    none has booted and one died: back to the old configuration and generation

Requests to reload that come meanwhile fold into one more passage after this.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gunicorn import proctitle
from gunicorn.arbiter.generation import Generation

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter


class Rollover:
    """The passage from one generation to the next. The constructor begins it.

    Raises whatever makes the new configuration unusable, with the arbiter as it was.
    """

    def __init__(self, arbiter: Arbiter) -> None:
        self.arbiter = arbiter
        self.old = arbiter.generation
        self.old_workers = arbiter.num_workers
        self.old_sockets = list(arbiter.listeners.sockets)
        arbiter.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            self._begin()
        except BaseException:
            self._restore()
            raise

    def advance(self) -> None:
        """Retire as many old workers as new ones have booted; finish when all have."""
        arbiter = self.arbiter
        fresh = arbiter.workforce.pool.serving(self.new)
        booted = sum(member.booted for member in fresh)
        stale = arbiter.workforce.pool.others(self.new)
        for member in stale[: max(0, len(stale) - (arbiter.num_workers - booted))]:
            arbiter.workforce.retire(member)
        if booted >= arbiter.num_workers:
            self._finish()

    def call_off(self, reason: str) -> None:
        """Go back to the old generation, and say so."""
        arbiter = self.arbiter
        for member in arbiter.workforce.pool.serving(self.new):
            arbiter.workforce.retire(member)
        self._restore()
        arbiter.rollover = None
        arbiter.log.error(
            "Reload called off: %s. The previous configuration and code go on serving.", reason
        )

    def drop_old_listeners(self) -> None:
        """Close the sockets that only the old generation served."""
        for listener in self.old_sockets:
            if listener not in self.arbiter.listeners.sockets:
                self.arbiter.listeners.discard(listener, shared=self.arbiter.upgrade.beside_another)

    def _begin(self) -> None:
        arbiter = self.arbiter
        arbiter.app.reload()
        cfg = arbiter.app.cfg
        arbiter.use_logs(cfg)
        arbiter.log.reopen_files()
        arbiter.prepare(cfg)
        if cfg.preload_app:
            arbiter.app.wsgi()
        arbiter.use(cfg)
        arbiter.explain_number()
        arbiter.call_hook("on_reload", arbiter)
        arbiter.listeners.change(self.old.cfg, cfg, arbiter.log)
        self.new = Generation.of(self.old.number + 1, cfg, list(arbiter.listeners.sockets))
        arbiter.generation = self.new
        arbiter.workforce.backoff.succeeded()

    def _restore(self) -> None:
        arbiter = self.arbiter
        for listener in arbiter.listeners.sockets:
            if listener not in self.old_sockets:
                arbiter.listeners.discard(listener, shared=False)
        arbiter.listeners.sockets = self.old_sockets
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
        arbiter.move_pidfile()
        proctitle.set_title(f"master [{arbiter.proc_name}]")
        arbiter.notify("READY=1")
        arbiter.log.info("Reload done: generation %s serves", self.new.number)
