"""What a template process does: load the application, fork workers, and end in good order.

Its messages are described in `template`. When the arbiter wants no more workers of it, closes the
channel, or is gone, it lets the listeners go and waits for the end of the workers that it has
forked, who may use what the application has made in it. They hold one end of a pipe, and the kernel
closes the last copy of that when the last of them ends, however it ends. With the arbiter gone the
wait is bounded by `graceful_timeout`. Then the process ends as any does: SystemExit unwinds the
stack, exit handlers run, and threads that are no daemons are waited for.

    TERM        as if the arbiter wanted no more workers
    INT, QUIT   end now; the arbiter sends QUIT once the last worker has gone

With `refork_after` a worker becomes the template of its generation: `succeed` makes it a copy of
itself that serves no client and waits for such requests instead.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from math import inf
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from gunicorn import collector, proctitle
from gunicorn.arbiter import child, messages
from gunicorn.errors import AppImportError
from gunicorn.syscalls import poll
from gunicorn.workers import copies, hang

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter
    from gunicorn.arbiter.generation import Generation

ADOPTION_TIME = 10.0
"""Seconds that a worker waits to become the arbiter's child."""
LOOK = 1000
"""Milliseconds between two looks whether the arbiter is still there."""
NOT_MEANT = (
    signal.SIGHUP, signal.SIGUSR2, signal.SIGWINCH, signal.SIGTTIN, signal.SIGTTOU,
)  # fmt: skip
"""Signals that concern the arbiter, and are sent to the whole group at times."""


class End(SystemExit):
    """The end of a template, whoever has asked for it."""


def live(arbiter: Arbiter, generation: Generation, channel: socket.socket) -> NoReturn:
    """Load the application, then fork workers; the exit codes are those of a worker."""
    try:
        # The collector would write to all that was inherited, and so copy it.
        gc.freeze()
        arbiter.signals.forget()
        _let_go(arbiter, generation)
        hang.install_dump(arbiter.log)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(signum, _for_this_process(_leave))
        proctitle.set_title(f"template [{generation.cfg.proc_name}]")
        generation.cfg.worker_class.setup_preload()
        with collector.at_rest(), copies.kept_out(arbiter.log):
            arbiter.app.wsgi()
    except End:
        raise
    except AppImportError as error:
        arbiter.log.error("The application cannot be loaded: %s", error)  # noqa: TRY400 - a wrong name needs no traceback
        _leave(child.APP_LOAD_ERROR)
    except BaseException as error:
        arbiter.log.error(  # noqa: TRY400 - the account is a better traceback
            "The application cannot be loaded\n%s", child.account(error)
        )
        _leave(child.WORKER_BOOT_ERROR)
    _serve(arbiter, generation, channel)


def succeed(arbiter: Arbiter, generation: Generation, seed: socket.socket) -> NoReturn:
    """Be the template of `generation`, in a copy of a worker that has let go of its clients.

    Every worker has `seed`, so from here on there is a channel that nobody else has.
    """
    _wait_for_adoption(arbiter.pid, seed)
    arbiter.signals.forget()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    messages.authenticate(theirs)
    try:
        with theirs, seed:
            socket.send_fds(seed, [b"copied"], [theirs.fileno()])
    except OSError as error:
        arbiter.log.debug("The arbiter wants no template of this worker: %s", error)
        os._exit(0)
    _serve(arbiter, generation, ours)


def _let_go(arbiter: Arbiter, generation: Generation) -> None:
    """Close what is the arbiter's alone, so that its end is noticed, and what others serve."""
    child.let_go_of_lifeline(arbiter)
    if arbiter.pidfile is not None:
        arbiter.pidfile.let_go()
    child.let_go_of_certificates(arbiter, generation)
    # A reload begins while the arbiter's generation is the old one.
    for listener in {*arbiter.every_listener(), *arbiter.generation.listeners}:
        if listener not in generation.listeners:
            listener.close()
    for template in arbiter.templates():
        template.channel.close()
    if generation.seed is not None:
        generation.seed[0].close()


def _serve(arbiter: Arbiter, generation: Generation, channel: socket.socket) -> NoReturn:
    """Fork a worker for each request, and end when there will be no more.

    Workers leave this stack by SystemExit, which must reach the bottom of it.
    """
    proctitle.set_title(f"template [{generation.cfg.proc_name}]")
    _install_signals(arbiter, channel)
    # What is here now is here for good: pages that the collector never writes to stay shared. It
    # does not run first, as the holes that it leaves would be filled, and so copied, by workers.
    gc.freeze()
    workers = os.pipe()
    try:
        channel.send(b"loaded")
        while message := channel.recv(messages.MESSAGE).decode():
            age, index = message.split()
            _fork_worker(arbiter, generation, channel, workers, int(age), int(index))
    except OSError as error:
        arbiter.log.debug("The template process lost its arbiter: %s", error)
    _retire(arbiter, generation, channel, workers)


def _install_signals(arbiter: Arbiter, channel: socket.socket) -> None:
    def finish() -> None:
        # Ends the wait for requests, also when it comes just before that.
        with contextlib.suppress(OSError):
            channel.shutdown(socket.SHUT_RD)

    def reopen() -> None:
        arbiter.log.reopen_files()
        hang.install_dump(arbiter.log)

    for signum in NOT_MEANT:
        signal.signal(signum, _take_notice)
    signal.signal(signal.SIGUSR1, _for_this_process(reopen))
    signal.signal(signal.SIGTERM, _for_this_process(finish))
    for signum in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(signum, _for_this_process(_leave))
    # Until now that signal was dropped, and loading an application takes its time.
    reopen()


def _retire(
    arbiter: Arbiter,
    generation: Generation,
    channel: socket.socket,
    workers: tuple[int, int],
) -> NoReturn:
    """Let the listeners go, wait for the workers that were forked here, and end."""
    for listener in generation.listeners:
        listener.close()
    with contextlib.suppress(OSError):
        channel.send(b"retired")
    reading, writing = workers
    os.close(writing)
    last = poll()
    last.register(reading, select.POLLIN)
    deadline = inf
    while not last.poll(LOOK) and time.monotonic() < deadline:
        if deadline == inf and os.getppid() != arbiter.pid:
            deadline = time.monotonic() + generation.graceful_timeout
    _leave()


def _fork_worker(
    arbiter: Arbiter,
    generation: Generation,
    channel: socket.socket,
    workers: tuple[int, int],
    age: int,
    index: int,
) -> None:
    failure = ""
    try:
        worker = arbiter.workforce.make(generation, age, arbiter.workforce.board.at(index))
        with copies.kept_out(arbiter.log):
            generation.cfg.pre_fork(arbiter, worker)
        with arbiter.signals.held():
            middleman = os.fork()
            if middleman == 0:
                _fork_on()
                # From here on there is only the worker.
                worker.pid = os.getpid()
                os.close(workers[0])
                _tell_of_birth(channel, worker.ppid, age)
                child.live(arbiter, worker, generation)
        _, status = os.waitpid(middleman, 0)
        if code := os.waitstatus_to_exitcode(status):
            failure = os.strerror(abs(code))
    except Exception as error:
        arbiter.log.exception("The template process could not fork a worker")
        failure = str(error) or repr(error)
    if failure:
        channel.send(f"failed {failure}".encode()[: messages.MESSAGE])


def _fork_on() -> None:
    """Fork once more; returns in the worker only."""
    code = 0
    try:
        if os.fork() == 0:
            return
    except OSError as error:
        code = error.errno or 1
    os._exit(code)


def _tell_of_birth(channel: socket.socket, ppid: int, age: int) -> None:
    """Tell the arbiter, once it is the parent; without it there is nothing to live for."""
    _wait_for_adoption(ppid, channel)
    try:
        with channel:
            channel.send(f"born {age}".encode())
    except OSError:
        os._exit(0)


def _wait_for_adoption(ppid: int, channel: socket.socket) -> None:
    """Wait until the middleman has ended, and this process is the child of the arbiter.

    Not longer than the arbiter lives, who has the other end of `channel`.
    """
    deadline = time.monotonic() + ADOPTION_TIME
    closed = poll()
    closed.register(channel, 0)
    while os.getppid() != ppid and time.monotonic() < deadline and not closed.poll(1):
        pass


def _take_notice(_signum: int, _frame: FrameType | None) -> None:
    """Receive what is meant for the arbiter; not SIG_IGN, which programs would inherit."""


def _for_this_process(act: Callable[[], object]) -> Callable[[int, FrameType | None], None]:
    """A handler that calls `act` here, and is as good as none in what the application forks."""
    own = os.getpid()

    def handle(signum: int, _frame: FrameType | None) -> None:
        if os.getpid() == own:
            act()
        else:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

    return handle


def _leave(code: int = 0) -> NoReturn:
    """End, once: exit handlers must not be cut short by the next signal."""
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(signum, _take_notice)
    raise End(code)
