"""What a worker that hangs tells of itself, on its way to being killed.

The arbiter sends SIGABRT. A worker that runs Python still, or waits in a system call, answers with
`report`: the requests in progress and the stack of every thread. Python runs signal handlers in
the main thread, so one whose main thread is stuck in C code does not get that far:

    the C code lets other threads run     the `Witness`, a thread that sleeps until a signal comes,
                                          makes the report in its place
    it holds the interpreter's lock       faulthandler, armed on SIGURG, writes the stacks from
                                          within the signal handler, without running any Python,
                                          to the descriptor of the error log

(SIGURG does nothing in a process that has not armed it.)
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading

# As they are before a library puts green threads in the place of threads, which would be stuck too.
from _thread import get_ident, start_new_thread
from time import monotonic, sleep
from types import BuiltinFunctionType, FrameType
from typing import TYPE_CHECKING, Any

from gunicorn.workers import failure

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker

DUMP_SIGNAL = signal.SIGURG

OWN_TIME = 0.5
"""Seconds that the main thread has to answer SIGABRT itself."""

STACK_SIZE = 256 * 1024
"""Bytes of stack of the witness: less than a huge page, which the kernel might give to more."""


_dump: list[int] = []
"""The descriptor that the stacks are written to: of its own, as an application may close a log."""


def install_dump(log: Any) -> None:
    """Have DUMP_SIGNAL write the stacks to the error log of now; call again when it is reopened."""
    try:
        target = os.dup(_descriptor(log))
    except OSError as error:
        log.debug("The stacks of a worker that hangs have no log to go to: %s", error)
        return
    faulthandler.register(DUMP_SIGNAL, file=target, all_threads=True, chain=False)
    for replaced in _dump:
        os.close(replaced)
    _dump[:] = [target]


def remove_dump() -> None:
    """Give DUMP_SIGNAL back, in a process that is not the worker."""
    faulthandler.unregister(DUMP_SIGNAL)


class Witness:
    """A thread that gets the signals first, and speaks for a main thread that cannot.

    It is the interpreter, in C, that writes the number of a signal to `bell` (the wake-up
    descriptor). The thread passes it on to `wakeup`, which the loop of the worker waits for, and
    looks on when it is SIGABRT. It sleeps in read(2) and holds no lock, so an application may fork.
    """

    def __init__(self, worker: Worker, wakeup: int) -> None:
        self.worker = worker
        self.wakeup = wakeup
        self.main = get_ident()
        self._reading, self.bell = os.pipe()
        os.set_blocking(self.bell, False)

    @property
    def descriptors(self) -> tuple[int, int]:
        """What the thread reads, and what is written to."""
        return self._reading, self.bell

    @classmethod
    def start(cls, worker: Worker, wakeup: int) -> Witness | None:
        """Start the thread, which ends with the process; None where that cannot be."""
        if not isinstance(start_new_thread, BuiltinFunctionType):
            # Threads were made green before this module was imported. The loop would stand still.
            return None
        witness = cls(worker, wakeup)
        before = threading.stack_size(STACK_SIZE)
        try:
            start_new_thread(witness._watch, ())
        except RuntimeError as error:
            worker.log.debug("Nobody will speak for a main thread that is stuck: %s", error)
            witness.close()
            return None
        finally:
            threading.stack_size(before)
        return witness

    def close(self) -> None:
        """Let go of the descriptors, where there is no such thread."""
        os.close(self._reading)
        os.close(self.bell)

    def _watch(self) -> None:
        while signals := os.read(self._reading, 256):
            # When it is full the loop wakes up anyway.
            with contextlib.suppress(BlockingIOError):
                os.write(self.wakeup, signals)
            # A process that the application forked has the same descriptors, so ask who meant it.
            if signal.SIGABRT in signals and self.worker.tmp.given_up:
                self._testify()

    def _testify(self) -> None:
        """Make the report, unless the main thread does."""
        deadline = monotonic() + OWN_TIME
        while not self.worker.aborted:
            if monotonic() > deadline:
                frame = sys._current_frames().get(self.main)
                self.worker.log.critical("%s", report(self.worker, frame))
                return
            sleep(OWN_TIME / 10)


def report(worker: Worker, frame: FrameType | None) -> str:
    """The requests in progress and the stacks; `frame` is where the main thread was."""
    return "\n".join([f"Worker (pid:{worker.pid}) hangs: {_requests(worker)}", *_stacks(frame)])


def _requests(worker: Worker) -> str:
    now = monotonic()
    if not worker.tmp.booted:
        return "it has not booted"
    found = [
        f"{request.method} {request.uri} from {_client(peer)}"
        for request, peer in worker.requests_in_progress()
    ]
    since = worker.tmp.busy_since
    lasting = f" (for {now - since:.1f} s)" if since else ""
    return (", ".join(found) or "no request in progress") + lasting


def _client(peer: Any) -> str:
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "a unix socket"


def _stacks(main_frame: FrameType | None) -> list[str]:
    frames = sys._current_frames()
    main = threading.main_thread().ident
    lines = []
    for thread in threading.enumerate():
        # For the main thread not the handler of the signal, which may run there now.
        frame = main_frame if thread.ident == main else frames.get(thread.ident or 0)
        lines.append(f"Thread {thread.name}:")
        if frame is not None:
            lines += [line.rstrip() for line in failure.user_stack(frame).format()]
    return lines


def _descriptor(log: Any) -> int:
    """Where the error log goes; standard error when that is no file."""
    for handler in getattr(getattr(log, "error_log", None), "handlers", ()):
        stream = getattr(handler, "stream", None)
        if stream is not None:
            try:
                return int(stream.fileno())
            except (OSError, ValueError, AttributeError):
                # A stream of somebody's own that is no file; perhaps the next is.
                continue
    return 2
