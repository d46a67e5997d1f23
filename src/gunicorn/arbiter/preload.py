"""Where an application is preloaded, and what becomes of the process that did it.

On Linux each generation with `preload_app` has a template process. Elsewhere orphans cannot be
given to the arbiter, so the application is loaded in the arbiter itself, whose code no reload can
change any more.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from gunicorn import collector
from gunicorn.arbiter import child
from gunicorn.arbiter.template import Template
from gunicorn.errors import HaltServer
from gunicorn.libc import become_subreaper

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter
    from gunicorn.arbiter.generation import Generation
    from gunicorn.arbiter.reaper import Death


class Preload:
    """The template processes of an arbiter."""

    def __init__(self, arbiter: Arbiter) -> None:
        self.arbiter = arbiter
        self._adopts: bool | None = None

    def adopts(self) -> bool:
        """Whether orphans become children of the arbiter; makes it so."""
        if self._adopts is None:
            self._adopts = become_subreaper()
        return self._adopts

    def begin(self, generation: Generation) -> None:
        """Begin to preload the application for a generation, if its configuration says so."""
        if not generation.cfg.preload_app:
            return
        if self.adopts():
            generation.wants_template = True
            if not self._waits(generation):
                generation.template = Template.start(self.arbiter, generation)
            return
        self.arbiter.log.info(
            "The application is preloaded in the master, as this system has no child subreaper:"
            " reloads will not change its code."
        )
        generation.cfg.worker_class.setup_preload()
        with collector.at_rest():
            self.arbiter.app.wsgi()

    def finish(self) -> None:
        """At the start: wait until the application is loaded. HaltServer when it cannot be."""
        arbiter = self.arbiter
        template = arbiter.generation.template
        while template is not None and not template.loaded and not arbiter.stopping:
            for signum in arbiter.signals.wait(0.02):
                arbiter.obey(signum)
            arbiter.template_processes.listen()
            arbiter.reap_workers()
            self.look()

    def template_of(self, generation: Generation) -> Template | None:
        """The template to fork from, when it is ready; one that died is replaced."""
        if generation.template is None and generation.wants_template:
            if self._waits(generation):
                return None
            generation.template = Template.start(self.arbiter, generation)
        template = generation.template
        return template if template is not None and template.ready else None

    def _waits(self, generation: Generation) -> bool:
        """Whether others have to be gone before the application can be loaded."""
        return generation.loads_alone and self.arbiter.template_processes.running()

    def look(self) -> None:
        """End a template that takes longer than `boot_timeout` to load the application."""
        now = time.monotonic()
        for generation in self.arbiter.generations():
            template, limit = generation.template, generation.boot_timeout
            if template is None or not limit or template.loaded:
                continue
            lasting = now - template.started - limit
            if lasting > 0 and not template.overdue:
                template.overdue = True
                self.arbiter.log.critical(
                    "The application was not loaded after %.1f s (boot_timeout is %g s)",
                    now - template.started, limit,
                )  # fmt: skip
                template.signal(signal.SIGURG)
            elif lasting > 0.3:
                template.signal(signal.SIGKILL)

    def ended(self, death: Death) -> bool:
        """Draw conclusions from the end of a template; False if `death` is not one's.

        HaltServer when it was to be the first, and cannot load the application.
        """
        arbiter = self.arbiter
        was_asked = {template.pid for template in arbiter.templates() if template.left_at}
        template = arbiter.template_processes.ended(death)
        if template is None:
            return False
        if arbiter.stopping or death.pid in was_asked:
            return True
        generation = template.generation
        how = death.signal_name or f"code {death.code}"
        rollover = arbiter.rollover
        if rollover is not None and generation is rollover.new and not template.loaded:
            rollover.call_off(f"the application cannot be preloaded ({how})")
            return True
        if not template.loaded and not arbiter.workforce.ever_booted:
            codes = (child.APP_LOAD_ERROR, child.WORKER_BOOT_ERROR)
            code = death.code if death.code in codes else child.WORKER_BOOT_ERROR
            raise HaltServer("App failed to load.", code or child.WORKER_BOOT_ERROR)
        delay = arbiter.workforce.backoff.failed(time.monotonic())
        arbiter.log.error(
            "The template process (pid:%s) ended with %s; the workers go on, and another is"
            " started when one is needed, in %.1f s at the earliest", death.pid, how, delay,
        )  # fmt: skip
        return True
