"""The template process: it has loaded the application, and workers are forked from it.

    arbiter --fork--> template: load the application, gc.freeze(), then for each request
                          template --fork--> middleman --fork--> worker
                                             tells the worker's pid, ends at once

With its parent gone the worker becomes a child of the arbiter, which has declared itself a
subreaper (PR_SET_CHILD_SUBREAPER, prctl(2)); so it is reaped and watched like any other. The
arbiter never imports the application, and a reload, which makes a new template, loads it anew.

The two talk over a SOCK_SEQPACKET pair, one message a packet:

    arbiter -> template     AGE INDEX       fork a worker for that place on the scoreboard
    template -> arbiter     loaded PID      once
                            pid PID         a worker was forked
                            failed REASON   it was not

The template ends when the channel does, so it cannot outlive the arbiter. With `refork_after` a
worker becomes the template of its generation: `succeed` makes it a copy of itself that serves no
client and waits for such requests instead.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from gunicorn import collector, proctitle
from gunicorn.arbiter import child
from gunicorn.errors import AppImportError
from gunicorn.syscalls import poll
from gunicorn.workers import copies, hang

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter
    from gunicorn.arbiter.generation import Generation

ANSWER_TIME = 10.0
"""Seconds that a template has to fork a worker, the pre_fork hook included."""
ADOPTION_TIME = 10.0
"""Seconds that a worker waits to become the arbiter's child."""
MESSAGE = 2048
"""Bytes of the longest message."""


class Template:
    """The arbiter's end of a template process."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self.started = time.monotonic()
        self.loaded = False
        self.ended = False
        self.overdue = False
        channel.setblocking(False)

    @classmethod
    def start(cls, arbiter: Arbiter, generation: Generation) -> Template:
        """Fork a template that begins to load the application. OSError when that is impossible."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, arbiter.signals.held():
            pid = os.fork()
            if pid == 0:
                ours.close()
                _live(arbiter, generation, theirs)
        arbiter.log.debug("Started template process (pid: %s)", pid)
        return cls(pid, ours)

    def ready(self) -> bool:
        """Whether the application is loaded, and workers can be forked."""
        if not self.loaded and (message := self._read()).startswith("loaded "):
            self.loaded = True
            self.pid = int(message.split()[1])
        return self.loaded

    def fork(self, age: int, index: int) -> int:
        """Have a worker forked and return its pid. OSError when there is none to be had."""
        self.channel.send(f"{age} {index}".encode())
        answered = poll()
        answered.register(self.channel, select.POLLIN)
        if not answered.poll(ANSWER_TIME * 1000):
            self.signal(signal.SIGKILL)
            raise TimeoutError(f"the template process (pid:{self.pid}) did not answer; killed")
        kind, _, rest = self._read().partition(" ")
        if kind != "pid":
            raise ChildProcessError(rest or f"the template process (pid:{self.pid}) is gone")
        return int(rest)

    def end(self) -> None:
        """End the process; it serves nobody."""
        if not self.ended:
            self.ended = True
            self.channel.close()
            self.signal(signal.SIGKILL)

    def signal(self, signum: int) -> None:
        """Send a signal to the process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signum)

    def _read(self) -> str:
        try:
            return self.channel.recv(MESSAGE).decode()
        except (BlockingIOError, ConnectionResetError):
            # Nothing yet, or never any more; of that its death tells.
            return ""


def succeed(arbiter: Arbiter, generation: Generation, channel: socket.socket) -> NoReturn:
    """Be the template of `generation`, in a copy of a worker that has let go of its clients."""
    _wait_for_adoption(arbiter.pid)
    arbiter.signals.forget()
    _serve(arbiter, generation, channel)


def _live(arbiter: Arbiter, generation: Generation, channel: socket.socket) -> NoReturn:
    """Load the application, then fork workers; the exit codes are those of a worker."""
    code = child.CRASHED
    try:
        # The collector would write to all that was inherited, and so copy it.
        gc.freeze()
        arbiter.signals.forget()
        _let_go(arbiter, generation)
        hang.install_dump(arbiter.log)
        proctitle.set_title(f"template [{generation.cfg.proc_name}]")
        generation.cfg.worker_class.setup_preload()
        with collector.at_rest(), copies.kept_out(arbiter.log):
            arbiter.app.wsgi()
    except AppImportError as error:
        arbiter.log.error("The application cannot be loaded: %s", error)  # noqa: TRY400 - a wrong name needs no traceback
        code = child.APP_LOAD_ERROR
    except BaseException as error:
        arbiter.log.error(  # noqa: TRY400 - the account is a better traceback
            "The application cannot be loaded\n%s", child.account(error)
        )
        code = child.WORKER_BOOT_ERROR
    else:
        _serve(arbiter, generation, channel)
    _end(code)


def _let_go(arbiter: Arbiter, generation: Generation) -> None:
    """Close what is the arbiter's alone, so that its end is noticed, and what others serve."""
    child.let_go_of_lifeline(arbiter)
    child.let_go_of_certificates(arbiter, generation)
    if arbiter.pidfile is not None:
        arbiter.pidfile.let_go()
    # A reload begins while the arbiter's generation is the old one.
    for listener in {*arbiter.every_listener(), *arbiter.generation.listeners}:
        if listener not in generation.listeners:
            listener.close()
    for template in arbiter.templates():
        template.channel.close()
    if generation.seed is not None:
        generation.seed[0].close()


def _serve(arbiter: Arbiter, generation: Generation, channel: socket.socket) -> NoReturn:
    """Fork a worker for each request, until the arbiter is gone.

    Workers leave this stack by SystemExit, which must reach the bottom of it.
    """
    proctitle.set_title(f"template [{generation.cfg.proc_name}]")
    for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR2, signal.SIGWINCH):
        signal.signal(signum, _take_notice)
    for signum in (signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(signum, _take_notice)

    def reopen(_signum: int | None = None, _frame: FrameType | None = None) -> None:
        arbiter.log.reopen_files()
        hang.install_dump(arbiter.log)

    signal.signal(signal.SIGUSR1, reopen)
    # Until now that signal was dropped, and loading an application takes its time.
    reopen()
    # What is here now is here for good: pages that the collector never writes to stay shared. It
    # does not run first, as the holes that it leaves would be filled, and so copied, by workers.
    gc.freeze()
    try:
        channel.send(f"loaded {os.getpid()}".encode())
        while message := channel.recv(MESSAGE).decode():
            age, index = message.split()
            _fork_worker(arbiter, generation, channel, int(age), int(index))
    except OSError as error:
        arbiter.log.debug("The template process lost its arbiter: %s", error)
    _end(0)


def _fork_worker(
    arbiter: Arbiter, generation: Generation, channel: socket.socket, age: int, index: int
) -> None:
    try:
        worker = arbiter.workforce.make(generation, age, arbiter.workforce.board.at(index))
        with copies.kept_out(arbiter.log):
            generation.cfg.pre_fork(arbiter, worker)
        with arbiter.signals.held():
            middleman = os.fork()
            if middleman == 0:
                pid = _fork_on(channel)
                # From here on there is only the worker.
                worker.pid = pid
                channel.close()
                _wait_for_adoption(worker.ppid)
                child.live(arbiter, worker, generation)
    except Exception as error:
        arbiter.log.exception("The template process could not fork a worker")
        channel.send(f"failed {error}".encode()[:MESSAGE])
    else:
        os.waitpid(middleman, 0)


def _fork_on(channel: socket.socket) -> int:
    """Fork once more; returns in the worker only, its pid."""
    answer, code = "", 0
    try:
        pid = os.fork()
        if pid == 0:
            return os.getpid()
        answer = f"pid {pid}"
    except OSError as error:
        answer, code = f"failed {error}", 1
    channel.send(answer.encode())
    os._exit(code)


def _wait_for_adoption(ppid: int) -> None:
    """Wait until the middleman has ended, and this process is the arbiter's child."""
    deadline = time.monotonic() + ADOPTION_TIME
    while os.getppid() != ppid and time.monotonic() < deadline:
        time.sleep(0.001)


def _take_notice(_signum: int, _frame: FrameType | None) -> None:
    """Receive what is meant for the arbiter; not SIG_IGN, which programs would inherit."""


def _end(code: int) -> NoReturn:
    """End without the application's exit handlers: it has never served here."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
