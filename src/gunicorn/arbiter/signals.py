"""Signals as a queue: handlers only note that a signal came, the main loop acts on it.

Python runs handlers between two bytecodes of the main thread, at any place. Doing work there
means re-entering code that is half done, so a handler appends a number and returns. The wake-up
descriptor (signal.set_wakeup_fd) ends the wait of the loop; it covers the signal that arrives
after the interpreter's last check and before poll(2) sleeps. Should other code in the process
take the wake-up descriptor away, a signal is seen one pause of the loop later, and not lost.

A signal that is already waiting is not queued again, as the kernel does it with its own pending
set; but TTIN and TTOU count, because two of them mean two workers.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Any

from gunicorn.arbiter.words import Words

COMMANDS = (
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
"""What an operator may send to the arbiter."""

HURRY = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""The signals that end a process, an arbiter or a worker."""

WATCHED = (*COMMANDS, signal.SIGCHLD)
COUNTED = frozenset({signal.SIGTTIN, signal.SIGTTOU})

LIMIT = 1000
"""Signals kept at most; what comes on top of so many is dropped."""


def name_of(signum: int) -> str:
    """The name of a signal, such as "SIGTERM"; "signal 99" when it has none."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"


class SignalQueue:
    """The signals that came and were not acted on yet."""

    def __init__(self) -> None:
        self._waiting: deque[int] = deque(maxlen=LIMIT)
        self._wakeup: tuple[int, int] | None = None
        self._found: dict[int, Any] = {}
        self._found_wakeup = -1
        self.words = Words()

    @property
    def bell(self) -> int:
        """A descriptor that ends the wait when written to; workers keep it. -1: there is none."""
        return self.words.bell

    def install(self) -> None:
        """Take over every signal of WATCHED in this process. Main thread only."""
        self._wakeup = os.pipe()
        for fd in self._wakeup:
            os.set_blocking(fd, False)
        self.words.open(self._wakeup[0])
        self._found_wakeup = signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        for signum in WATCHED:
            self._found[signum] = signal.signal(signum, self._enqueue)

    def wait(self, timeout: float) -> list[int]:
        """Return the signals that came, in order, after at most `timeout` seconds.

        Less when a worker or a template has something to say.
        """
        self.words.wait(0.0 if self._waiting else timeout)
        came = []
        while self._waiting:
            came.append(self._waiting.popleft())
        return came

    def push(self, signum: int) -> None:
        """Queue a signal as if it had been sent."""
        if signum in COUNTED or signum not in self._waiting:
            self._waiting.append(signum)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold signals back while forking.

        Otherwise one that arrives in the new process before `forget` would be queued there, in
        a copy of this queue that nobody reads.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        pid = os.getpid()
        try:
            yield
        finally:
            if os.getpid() == pid:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @staticmethod
    def let_through() -> None:
        """Let in the signals that `held` holds back."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)

    def end(self, *, for_good: bool) -> None:
        """Give the process back the handlers that `install` found in it, and its wake-up fd.

        `for_good`: the process ends next, by itself and with the right exit code, so that what
        would end it is ignored instead. The interpreter gives signals that have a handler their
        default action back before it is gone, and one more TERM from somebody impatient would
        count as the reason of the end.
        """
        for signum, handler in self._found.items():
            if for_good and signum in HURRY:
                signal.signal(signum, signal.SIG_IGN)
            elif handler is not None:  # None was not installed from Python, and cannot be
                signal.signal(signum, handler)
        if self._found:
            self._restore_wakeup()
        self._found.clear()
        self._close()
        self.words.close()

    def _restore_wakeup(self) -> None:
        try:
            signal.set_wakeup_fd(self._found_wakeup)
        except (ValueError, OSError):
            # Its owner has closed it, or made it blocking, meanwhile.
            signal.set_wakeup_fd(-1)

    def forget(self) -> None:
        """In a forked process: give every signal its default action back, and let it in.

        Only USR1 is received and ignored, as the arbiter sends it to all workers and it would
        kill one that has not set its own handlers yet. (Received, not SIG_IGN: that would be
        inherited by programs that the worker starts.)
        """
        signal.set_wakeup_fd(-1)
        for signum in WATCHED:
            signal.signal(signum, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, _receive)
        self._found.clear()
        self._close()
        self.words.leave()
        self._waiting.clear()
        self.let_through()

    def _close(self) -> None:
        """Close the pipe of the wake-up descriptor: only the arbiter's own signals go there.

        Who else had its writing end could make it blocking, or fill it.
        """
        if self._wakeup is not None:
            for fd in self._wakeup:
                os.close(fd)
            self._wakeup = None

    def _enqueue(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's signature
        self.push(signum)


def _receive(signum: int, frame: FrameType | None) -> None:
    """Take notice of a signal, and do nothing about it."""
