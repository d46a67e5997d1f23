"""Refork: a worker that has warmed up becomes the template, and the others are forked from it.

What an application fills while it serves (caches, compiled templates, imports made late) each
worker fills for itself. Once one has answered `refork_after` requests it is asked (SIGUSR2) for a
copy of itself that serves nobody; when that has reported, the other workers are replaced from it,
one after the other. This happens once in a generation.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from gunicorn.arbiter.template import Template

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter
    from gunicorn.arbiter.generation import Generation
    from gunicorn.arbiter.pool import Member

ANSWER_TIME = 10.0
"""Seconds that a worker has to make the copy, before another one is asked."""


class Refork:
    """Turns workers of an arbiter into templates."""

    def __init__(self, arbiter: Arbiter) -> None:
        self.arbiter = arbiter
        self.template: Template | None = None
        self.member: Member | None = None

    def look(self) -> None:
        """Ask a worker that has warmed up, or replace the others when it has answered."""
        generation = self.arbiter.generation
        if generation.seed is None or self.arbiter.rollover is not None:
            return
        if self.template is None:
            self._ask(generation)
        elif self.template.ready():
            self._adopt(generation, self.template)
        elif time.monotonic() - self.template.started > ANSWER_TIME:
            self.template = None

    def _ask(self, generation: Generation) -> None:
        assert generation.seed is not None
        for member in self.arbiter.workforce.pool.serving(generation):
            if member.booted and member.worker.tmp.requests >= generation.refork_after:
                self.member = member
                self.template = Template(member.pid, generation.seed[0])
                self.arbiter.workforce.signal(member, signal.SIGUSR2)
                return

    def _adopt(self, generation: Generation, template: Template) -> None:
        assert generation.seed is not None
        generation.seed[1].close()
        generation.seed = None
        if generation.template is not None:
            generation.template.end()
        generation.template = template
        for member in self.arbiter.workforce.pool.serving(generation):
            member.outgrown = member is not self.member
        self.arbiter.log.info(
            "Refork: process %s, a copy of worker %s, is the template now; the other workers are"
            " replaced", template.pid, self.member.pid if self.member else 0,
        )  # fmt: skip
        self.template = self.member = None
