"""Copies of a worker: the processes that an application makes by os.fork().

How to think about it. A fork copies all of the worker, and shares what is in the kernel: clients,
listeners, the poll set, the pipes to the arbiter, the scoreboard. A copy is the application's
alone (a child of `multiprocessing`, a fork before an exec, a daemon). It must not act as the
worker: what it did to an object of the kernel it would do to the original, and to every sibling.

So in the copy, before os.fork() returns there:

    signals        what the worker had set goes back to the default, so that TERM ends the copy;
                   and no signal of it is written to the worker's wake-up descriptor
    descriptors    each one of the worker's is replaced by a socket that is at its end: sending
                   fails, receiving finds the end, polling fails. The number stays taken, so
                   nothing that the application opens is ever used in its place
    scoreboard     what the copy would write goes to memory of its own

And where the application returns to the server in a copy, the copy ends (`leave`). The worker
itself does nothing for all this while it serves: places where the user's code returns look at one
flag.

Programs (`subprocess`, exec) are not concerned: they have none of these descriptors.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import sys
import traceback

# As it is before a library puts green threads in the place of threads.
from _thread import get_ident
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from gunicorn import syscalls
from gunicorn.scoreboard import Slot
from gunicorn.workers import failure, hang

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gunicorn.workers.base import Worker

LAST_WORDS = 5
"""Seconds that a copy has to log why it ends and to flush its streams; then SIGALRM ends it."""

INTERRUPTED = 130
"""What a shell would say of a process that SIGINT has ended."""

ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""What the servers of third parties set as well, later than `init_signals`."""


class _Present:
    """What this process is."""

    worker: Worker | None = None
    handlers: dict[int, Any]
    """The handlers that the worker has set."""
    dead = -1
    """A socket that is at its end."""
    deliberate = False
    """Whether the server itself is about to fork."""
    forking: ClassVar[dict[int, tuple[set[Any], Any]]] = {}
    """The signal mask, and the asyncio loop or None, of each thread that forks at the moment."""


_present = _Present()


def watch(worker: Worker) -> None:
    """This process is `worker`; its signal handlers are set, and those made from it are copies."""
    _present.worker = worker
    _present.handlers = {
        signum: handler
        for signum in worker.SIGNALS
        if callable(handler := signal.getsignal(signum))
    }
    if _present.dead < 0:
        sock, peer = syscalls.socketpair()
        peer.close()
        _present.dead = sock.detach()


def is_copy(worker: Worker) -> bool:
    """Whether this process is a copy of `worker`, also one of a fork that Python knows nothing of.

    It asks the kernel, which takes longer than a look at `worker.copied`.
    """
    return worker.copied or (_present.worker is worker and os.getpid() != worker.pid)


def fork() -> int:
    """os.fork() for the server's own use: the new process is no copy in the sense of this file.

    It is no worker either, until `watch`.
    """
    _present.deliberate = True
    try:
        pid = os.fork()
        if pid == 0:
            _present.worker = None
        return pid
    finally:
        _present.deliberate = False


@contextlib.contextmanager
def kept_out(log: Any) -> Iterator[None]:
    """A block that calls the user's code outside a worker: its copies do not come back from it."""
    pid = os.getpid()
    try:
        yield
    except BaseException as error:
        if os.getpid() != pid:
            leave(log, error, pid)
        raise
    if os.getpid() != pid:
        leave(log, None, pid)


def leave(log: Any, error: BaseException | None = None, origin: int = 0) -> NoReturn:
    """End this copy, which has come back into the server, by `error` or by returning.

    `origin` is the process that it is a copy of, by default the worker.

    Its streams are flushed. Exit handlers, hooks, and what unwinding the stack would lead to are
    the original's.
    """
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LAST_WORDS)
        code = _last_words(log, error, origin or (_present.worker.pid if _present.worker else 0))
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
    except Exception:
        # The log may be what fails.
        traceback.print_exc()
    finally:
        os._exit(code)


def _last_words(log: Any, error: BaseException | None, origin: int) -> int:
    """Tell the log why this copy ends; returns the exit code."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        print(error.code, file=sys.stderr)
        return 1
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    told = "Process %d, which the application has forked from %d,"
    pids = os.getpid(), origin
    if error is None:
        log.warning(
            f"{told} came back from the application, and is ended."
            " A forked process has to end by os._exit().", *pids,
        )  # fmt: skip
        return 0
    trace = failure.from_user_code(error.__traceback__) or error.__traceback__
    log.error(f"{told} has failed", *pids, exc_info=(type(error), error, trace))
    return 1


# In the moment of a fork


def _before() -> None:
    worker = _present.worker
    if worker is None:
        return
    # One that comes before the handlers are back to the default would be lost to the copy.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {*_present.handlers, *ENDINGS})
    event_loop = None
    if (asyncio := sys.modules.get("asyncio")) is not None:
        with contextlib.suppress(RuntimeError, AttributeError):
            event_loop = asyncio.get_running_loop()
    _present.forking[get_ident()] = mask, event_loop


def _after() -> Any:
    mask, event_loop = _present.forking.pop(get_ident(), (None, None))
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return event_loop


def _in_child() -> None:
    try:
        worker = _present.worker
        if worker is not None and not _present.deliberate:
            _become_copy(worker)
    finally:
        event_loop = _after()
    if worker is not None and worker.copied and event_loop is not None:
        # When the application lets go of it: what else waits there is the original's.
        event_loop.call_soon(leave, worker.log)


def _become_copy(worker: Worker) -> None:
    first, worker.copied = not worker.copied, True
    worker.alive = False
    if first:
        _give_signals_back(worker)
        worker.tmp = Slot()
    worker.become_copy()
    for descriptor in set(_descriptors(worker)):
        if descriptor >= 0:
            os.dup2(_present.dead, descriptor, inheritable=False)


def _descriptors(worker: Worker) -> Iterator[int]:
    """The descriptors that are the worker's alone; -1 among them is none."""
    for listener in worker.sockets:
        yield listener.fileno()
    yield from worker.PIPE
    yield from worker.private
    if worker.witness is not None:
        yield from worker.witness.descriptors
    if worker.surrender is not None:
        yield from worker.surrender()
    else:
        yield from connections_to(worker.sockets)


def _give_signals_back(worker: Worker) -> None:
    signal.set_wakeup_fd(-1)
    for signum, handler in _present.handlers.items():
        if signal.getsignal(signum) is handler:
            _give_back(signum)
    if not type(worker).run.__module__.startswith("gunicorn."):
        for signum in ENDINGS:
            if callable(signal.getsignal(signum)):
                _give_back(signum)
    hang.remove_dump()


def _give_back(signum: int) -> None:
    default = signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL
    signal.signal(signum, default)


def connections_to(listeners: Iterable[socket.socket]) -> Iterator[int]:
    """The descriptors of this process that are connections accepted from `listeners`.

    For servers of third parties, which keep them to themselves. A connection has the address that
    it was accepted at, or that of one interface where the listener has those of all.
    """
    names = {_place(each) for each in listeners if each.fileno() >= 0}
    for name in os.listdir("/dev/fd"):
        descriptor = int(name)
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            sock = syscalls.socket(fileno=descriptor)
        except OSError:
            # It was that of the list itself.
            continue
        try:
            if _place(sock) in names:
                yield descriptor
        finally:
            sock.detach()


def _place(sock: Any) -> Any:
    """Where a socket is bound: its port, or its path."""
    name = sock.getsockname()
    return name[1] if isinstance(name, tuple) else name


os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_in_child)
