"""All template processes: what they say, and how they end.

A template that no more workers are wanted of (after a reload, after a refork, at the end) closes
its listeners and stays until the last worker of its generation has gone: what the application made
while it was loaded, such as the process of a `multiprocessing.Manager`, belongs to the template,
and is of use to these workers. Then it is asked to end (SIGQUIT), which is SystemExit in its main
thread: exit handlers and running jobs of the application get their end. After `graceful_timeout` it
is killed.

For the hook `child_exit` a template is a child like others: what it cleans up after a process (the
files of prometheus_client, for one) there may be of a template as well.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gunicorn.arbiter import messages
from gunicorn.arbiter.messages import Message
from gunicorn.scoreboard import Slot

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter
    from gunicorn.arbiter.generation import Generation
    from gunicorn.arbiter.reaper import Death
    from gunicorn.arbiter.template import Template

ANSWER_TIME = 10.0
"""Seconds that a template has to fork a worker, the pre_fork hook included, or to retire."""
ORPHAN_TIME = 1.0
"""Seconds in which a worker may still tell of itself whose template has ended."""


class Templates:
    """The template processes of an arbiter that are there, also those that are about to end."""

    def __init__(self, arbiter: Arbiter) -> None:
        self.arbiter = arbiter
        self._all: list[Template] = []

    def __iter__(self) -> Iterator[Template]:
        return iter(self._all)

    def add(self, template: Template) -> None:
        """Listen to a template from now on."""
        self._all.append(template)
        self.arbiter.signals.words.listen(template.channel.fileno())

    def running(self) -> bool:
        """Whether one of them has not been collected yet."""
        return any(not template.ended_at for template in self._all)

    def expected(self, generation: Generation | None = None) -> int:
        """How many workers (of a generation) were asked for that are not there yet."""
        asked = (each.generation for each in self._all if each.birth is not None)
        return sum(generation in {None, each} for each in asked)

    # -- what they say -----------------------------------------------------------------------------

    def listen(self) -> None:
        """Hear all that was said."""
        for template in list(self._all):
            for _ in range(messages.TURN):
                if template.silent:
                    break
                try:
                    message = messages.receive(template.channel)
                except EOFError:
                    self._fall_silent(template)
                    break
                if message is None:
                    break
                self._hear(template, message)

    def _hear(self, template: Template, message: Message) -> None:
        if message.descriptor is not None:
            os.close(message.descriptor)
        birth = template.birth
        its_own = message.sender == template.pid
        if message.kind == "loaded" and its_own:
            template.loaded = True
        elif message.kind == "failed" and its_own and birth is not None:
            self._miscarry(template, message.rest)
        elif message.kind == "retired" and its_own:
            template.retired = True
            self._dismiss(template)
        elif (
            message.kind == "born"
            and birth is not None
            and message.rest == str(birth.worker.age)
            and self.is_new_child(message.sender)
        ):
            template.birth = None
            birth.worker.pid = message.sender
            self.arbiter.workforce.take_in(birth, template.generation)
        elif not template.distrusted:
            template.distrusted = True
            self.arbiter.log.warning(
                "Dropped what process %s sent in the place of template process %s",
                message.sender, template.pid,
            )  # fmt: skip

    def is_new_child(self, pid: int) -> bool:
        """Whether `pid` is a child of the arbiter, and none that it knows: so it may be signalled.

        Nobody can pass another process off as a worker or a template: it is the sender, and what
        descends from this server, whatever it is.
        """
        known = {template.pid for template in self._all}
        known.add(self.arbiter.upgrade.child)
        return (
            pid not in known
            and pid not in self.arbiter.workforce.pool.members
            and messages.is_child(pid)
        )

    def _fall_silent(self, template: Template) -> None:
        template.silent = True
        self.arbiter.signals.words.ignore(template.channel.fileno())

    def _miscarry(self, template: Template, reason: str) -> None:
        """There will be no worker of those that were asked for."""
        birth, template.birth = template.birth, None
        if birth is not None:
            self.arbiter.workforce.take_back(birth, reason)

    # -- how they end ------------------------------------------------------------------------------

    def look(self) -> None:
        """Take one step with each that is late, or about to end."""
        now = time.monotonic()
        for template in list(self._all):
            if template.ended_at:
                self._forget(template, now)
            elif template.birth is not None and now - template.birth.asked > ANSWER_TIME:
                self._kill(template, "did not fork a worker")
                self._miscarry(template, f"template process {template.pid} did not answer")
            elif template.left_at:
                self._end(template, now)

    def _end(self, template: Template, now: float) -> None:
        patience = template.generation.graceful_timeout
        if not template.ending_at and not self._is_needed(template):
            template.ending_at = now
            template.signal(signal.SIGQUIT)
        elif template.ending_at and now - template.ending_at > patience:
            self._kill(template, f"did not end within {patience:g} s (graceful_timeout)")
        elif template.loaded and not template.retired and now - template.left_at > ANSWER_TIME:
            self._kill(template, "did not stop forking")

    def _is_needed(self, template: Template) -> bool:
        """Whether there may be workers that use what it has made."""
        members = self.arbiter.workforce.pool.members.values()
        return template.birth is not None or any(
            member.generation is template.generation for member in members
        )

    def _kill(self, template: Template, why: str) -> None:
        if not template.killed:
            self.arbiter.log.warning("Killing template process %s: it %s", template.pid, why)
            template.signal(signal.SIGKILL)

    def _dismiss(self, template: Template) -> None:
        """Fork no more from a template that has retired by itself, or ended."""
        template.leave()
        if template.generation.template is template:
            template.generation.template = None

    def ended(self, death: Death) -> Template | None:
        """Note the end of a template, and tell the hook; None if `death` is not one's."""
        for template in self._all:
            if template.pid == death.pid and not template.ended_at:
                break
        else:
            return None
        template.ended_at = time.monotonic()
        self._dismiss(template)
        self._forget(template, template.ended_at)
        self._tell_hook(template)
        return template

    def _forget(self, template: Template, now: float) -> None:
        """Close the channel, unless a worker may still tell of itself there."""
        if template.birth is not None:
            if not template.silent and now - template.ended_at < ORPHAN_TIME:
                return
            self._miscarry(template, f"template process {template.pid} is gone")
        if not template.silent:
            self._fall_silent(template)
        template.channel.close()
        self._all.remove(template)

    def _tell_hook(self, template: Template) -> None:
        arbiter = self.arbiter
        if arbiter.cfg.settings["child_exit"].is_default:
            return
        try:
            worker = arbiter.workforce.make(template.generation, 0, Slot())
        except Exception:
            arbiter.log.exception("The child_exit hook could not be told of a template's end")
            return
        worker.pid = template.pid
        arbiter.call_hook("child_exit", arbiter, worker)
