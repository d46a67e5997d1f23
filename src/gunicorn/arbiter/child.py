"""The first and the last thing a worker process does: from the fork to its exit code.

What follows a fork runs on the arbiter's stack, in a copy of the arbiter. So the copy first lets
go of what is the arbiter's, then hands over to the worker, and whatever comes of that ends as
SystemExit: the process unwinds and shuts its interpreter down in the ordinary way, so that
atexit handlers, coverage and thread pools of the application get their end.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from gunicorn import proctitle
from gunicorn.errors import AppImportError
from gunicorn.workers import copies, failure

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter
    from gunicorn.arbiter.generation import Generation
    from gunicorn.workers.base import Worker

WORKER_BOOT_ERROR = 3
APP_LOAD_ERROR = 4
CRASHED = 255


def live(arbiter: Arbiter, worker: Worker, generation: Generation) -> NoReturn:
    """Be `worker` of `generation` until its end.

    Raises SystemExit with the code that the arbiter will read, and never anything else:
    another exception would be taken for the arbiter's own, and the worker would go on as a second
    arbiter.
    """
    try:
        code = _work(arbiter, worker, generation)
        _say_goodbye(arbiter, worker)
    except Exception:
        # The log may be what fails, so this does not go there.
        traceback.print_exc()
        code = CRASHED
    sys.exit(code)


def _work(arbiter: Arbiter, worker: Worker, generation: Generation) -> int | str | None:
    try:
        _let_go(arbiter, worker, generation)
        copies.watch(worker)
        proctitle.set_title(f"worker [{worker.cfg.proc_name}]")
        worker.log.info("Booting worker with pid: %s", worker.pid)
        worker.cfg.post_fork(arbiter, worker)
        worker.end_copies()
        worker.init_process()
        worker.end_copies()
    except BaseException as error:
        if copies.is_copy(worker):
            copies.leave(worker.log, error)
        return _ended(worker, error)
    return 0


def _ended(worker: Worker, error: BaseException) -> int | str | None:
    """Log the end of a worker that does not end by returning; its exit code."""
    if isinstance(error, SystemExit):
        if os.getpid() != worker.pid:
            # The end of another worker, whose template was a copy of this one.
            raise error
        given_up = worker.aborted or worker.tmp.given_up
        if not worker.tmp.booted and error.code and not given_up:
            text = f"The application ends the process while it is loaded\n{account(error)}"
            return _failed(worker, text, WORKER_BOOT_ERROR)
        return error.code
    if worker.told_to_quit and not worker.tmp.booted:
        # The exit was raised in the middle of an import, which made another exception of it.
        worker.log.debug("The exit became another exception:", exc_info=error)
        return 0
    if isinstance(error, AppImportError):
        worker.log.debug("Where the application was looked for:", exc_info=error)
        return _failed(worker, f"The application cannot be loaded: {error}", APP_LOAD_ERROR)
    text = f"Exception in worker process\n{account(error)}"
    return _failed(worker, text, CRASHED if worker.tmp.booted else WORKER_BOOT_ERROR)


def account(error: BaseException) -> str:
    """The traceback that helps: the user's part of it, or all of it when the fault is ours."""
    if failure.from_user_code(error.__traceback__) or isinstance(error, SyntaxError):
        return failure.describe(error).rstrip()
    return "".join(traceback.format_exception(error)).rstrip()


def _failed(worker: Worker, text: str, code: int) -> int:
    worker.log.error("%s", text)
    return code


def _let_go(arbiter: Arbiter, worker: Worker, generation: Generation) -> None:
    # What was inherited is not garbage: the collector need not look, nor write, there again.
    gc.freeze()
    arbiter.signals.forget()
    worker.bell = arbiter.signals.bell
    worker.lifeline = let_go_of_lifeline(arbiter)
    let_go_of_certificates(arbiter, generation)
    if arbiter.pidfile is not None:
        arbiter.pidfile.let_go()
    for template in arbiter.templates():
        template.channel.close()
    if generation.seed is not None:
        ours, theirs = generation.seed
        ours.close()
        worker.private.append(theirs.fileno())
        worker.become_template = partial(arbiter.succeed, generation, theirs)
    for listener in arbiter.every_listener():
        if listener not in worker.sockets:
            listener.close()


def let_go_of_certificates(arbiter: Arbiter, own: Generation) -> None:
    """Close what only the arbiter writes to."""
    for generation in (own, *arbiter.generations()):
        if generation.certificates is not None:
            generation.certificates.let_go()


def let_go_of_lifeline(arbiter: Arbiter) -> int:
    """Close the end of the lifeline that only the arbiter holds; returns the other."""
    reading, writing = arbiter.lifeline
    if writing >= 0:
        os.close(writing)
        arbiter.lifeline = (reading, -1)
    return reading


def close_lifeline(arbiter: Arbiter) -> None:
    """At the end of the arbiter, in a process that may go on: close both ends."""
    reading = let_go_of_lifeline(arbiter)
    if reading >= 0:
        os.close(reading)
    arbiter.lifeline = (-1, -1)


def _say_goodbye(arbiter: Arbiter, worker: Worker) -> None:
    worker.log.info("Worker exiting (pid: %s)", worker.pid)
    try:
        worker.tmp.close()
        worker.cfg.worker_exit(arbiter, worker)
        worker.end_copies()
    except Exception:
        worker.log.exception("Exception in the worker_exit hook")
