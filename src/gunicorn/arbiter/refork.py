"""Refork: a worker that has warmed up becomes the template, and the others are forked from it.

What an application fills while it serves (caches, compiled templates, imports made late) each
worker fills for itself. Once one has answered `refork_after` requests it is asked (SIGUSR2) for a
copy of itself that serves nobody; when that has reported, the other workers are replaced from it,
one after the other. This happens once in a generation.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING

from gunicorn.arbiter import messages
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
        self.asked = 0.0

    def look(self) -> None:
        """Ask a worker that has warmed up, or replace the others when it has answered."""
        generation = self.arbiter.generation
        if generation.seed is None or self.arbiter.rollover is not None:
            return
        if self.member is None or time.monotonic() - self.asked > ANSWER_TIME:
            self._ask(generation)
        elif self.template is None:
            self.template = self._copy(generation, generation.seed[0])
        elif self.template.loaded:
            self._adopt(generation, self.template)

    def _ask(self, generation: Generation) -> None:
        if self.template is not None:
            self.template.leave()
        self.template = self.member = None
        for member in self.arbiter.workforce.pool.serving(generation):
            if member.booted and member.worker.tmp.requests >= generation.refork_after:
                self.member = member
                self.asked = time.monotonic()
                self.arbiter.workforce.signal(member, signal.SIGUSR2)
                return

    def _copy(self, generation: Generation, seed: socket.socket) -> Template | None:
        """The copy of the worker, once it has sent a channel of its own.

        Every worker can send something here. What does not come from a new process, with such a
        channel, is dropped; who can send that could have been asked for a copy as well.
        """
        for _ in range(messages.TURN):
            try:
                message = messages.receive(seed)
            except EOFError:
                break
            if message is None:
                break
            channel = _channel(message.descriptor)
            if channel is None:
                continue
            if self.arbiter.template_processes.is_new_child(message.sender):
                template = Template(message.sender, channel, generation)
                self.arbiter.template_processes.add(template)
                return template
            channel.close()
        return None

    def _adopt(self, generation: Generation, template: Template) -> None:
        # The one before, if there is one, stays for what the application has made in it.
        generation.end_template()
        generation.template = template
        for member in self.arbiter.workforce.pool.serving(generation):
            member.outgrown = member is not self.member
        self.arbiter.log.info(
            "Refork: process %s, a copy of worker %s, is the template now; the other workers are"
            " replaced", template.pid, self.member.pid if self.member else 0,
        )  # fmt: skip
        self.template = self.member = None


def _channel(descriptor: int | None) -> socket.socket | None:
    """The socket that a template has sent; None, and closed, if it is something else."""
    if descriptor is None:
        return None
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return None
    if (sock.family, sock.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
        sock.close()
        return None
    return sock
