"""The template process as the arbiter sees it: it has loaded the application, and forks workers.

    arbiter --fork--> template: load the application, gc.freeze(), then for each request
                          template --fork--> middleman --fork--> worker
                                             ends at once        tells that it is there

With its parent gone the worker becomes a child of the arbiter, which has declared itself a
subreaper (PR_SET_CHILD_SUBREAPER, prctl(2)); so it is reaped and watched like any other. The
arbiter never imports the application, and a reload, which makes a new template, loads it anew.

They talk over a SOCK_SEQPACKET pair, one message a packet, of which the kernel tells the sender:

    arbiter -> template     AGE INDEX       fork a worker for that place on the scoreboard
    template -> arbiter     loaded          once
                            failed REASON   no worker was forked
                            retired         there will be no more, and no listener is held
    worker -> arbiter       born AGE        once it is the arbiter's child

The arbiter waits for none of these: it asks for a worker and goes on, and what the channel says is
looked at in the loop (`Templates`). What becomes of a template that is no longer forked from is
told there, too; its own side is in `template_process`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from gunicorn.arbiter import messages, template_process
from gunicorn.scoreboard import Slot

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter
    from gunicorn.arbiter.generation import Generation
    from gunicorn.workers.base import Worker


class Birth(NamedTuple):
    """A worker that a template was asked for, at the monotonic time `asked`."""

    worker: Worker
    slot: Slot
    asked: float


class Template:
    """The arbiter's end of a template process. Times are monotonic seconds, 0 for not yet."""

    loaded: bool = False
    birth: Birth | None = None
    """The worker that it was asked for and that is not there yet."""
    overdue: bool = False
    """Whether it takes too long to load the application, and was asked for its stacks."""
    left_at: float = 0.0
    """When it was told that no more workers are wanted of it."""
    retired: bool = False
    """Whether it has said so itself: it forks no more, and has no listeners."""
    ending_at: float = 0.0
    """When it was asked to end."""
    killed: bool = False
    ended_at: float = 0.0
    """When its end was noticed."""
    silent: bool = False
    """Whether nothing can come from the channel any more."""
    distrusted: bool = False
    """Whether something came from there that was dropped."""

    def __init__(self, pid: int, channel: socket.socket, generation: Generation) -> None:
        self.pid = pid
        self.channel = channel
        self.generation = generation
        self.started = time.monotonic()
        messages.authenticate(channel)

    @classmethod
    def start(cls, arbiter: Arbiter, generation: Generation) -> Template:
        """Fork a template that begins to load the application. OSError when that is impossible."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Before anything can be sent.
        messages.authenticate(ours)
        with theirs, arbiter.signals.held():
            pid = os.fork()
            if pid == 0:
                ours.close()
                template_process.live(arbiter, generation, theirs)
        arbiter.log.debug("Started template process (pid: %s)", pid)
        template = cls(pid, ours, generation)
        arbiter.template_processes.add(template)
        return template

    @property
    def ready(self) -> bool:
        """Whether a worker can be asked for."""
        return self.loaded and not (self.birth or self.left_at or self.retired or self.ended_at)

    def ask(self, worker: Worker, slot: Slot, index: int) -> None:
        """Ask for `worker`, whose place on the scoreboard is `slot`. OSError when that fails."""
        messages.send(self.channel, f"{worker.age} {index}")
        self.birth = Birth(worker, slot, time.monotonic())

    def leave(self) -> None:
        """Have no more workers of it. It stays for those that it has forked: see `Templates`."""
        if not self.left_at:
            self.left_at = time.monotonic()
            with contextlib.suppress(OSError):
                self.channel.shutdown(socket.SHUT_WR)

    def signal(self, signum: int) -> None:
        """Send a signal to the process, which is a child that was not collected yet."""
        if not self.ended_at:
            self.killed |= signum == signal.SIGKILL
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)
