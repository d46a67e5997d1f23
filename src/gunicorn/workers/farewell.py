"""How the listeners are let go, so that nobody is turned away who was let in.

Responses say `Connection: close` from the moment at which the worker is told to end, those to
requests in progress too: the head of a response is rendered when the application gives its first
bytes.

The kernel completes connections before a worker accepts them, and resets those that still wait
when the last process closes the listener. A worker that is merely replaced leaves them to its
siblings. Where nobody else will accept (the server stops, the address is dropped by a reload, the
arbiter is gone) each worker first takes in what is waiting.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from gunicorn.scoreboard import CLOSING

if TYPE_CHECKING:
    from gunicorn.workers.channels import ListenerChannel
    from gunicorn.workers.loop import EventLoop

MOST = 4096
"""Connections taken from one listener at most, which is more than the kernel keeps by default."""


class Farewell:
    """The end of accepting for `loop`."""

    def __init__(self, loop: EventLoop) -> None:
        self.loop = loop
        self.queued: list[_Queue] = []
        loop.worker.announce_end = self.announce

    def announce(self) -> None:
        """Have the responses that begin from now on end their connections."""
        self.loop.renderer.closing = True

    def release(self) -> None:
        """Close the listeners; the connections that nobody else would accept are kept.

        May be called in the middle of a request, and again.
        """
        self.announce()
        loop = self.loop
        worker = loop.worker
        closing = int(loop.cells[CLOSING]) if os.getppid() == worker.ppid else -1
        loop.stop_accepting()
        for index, listener in enumerate(loop.listeners):
            if listener.sock.fileno() >= 0:
                if closing >> index & 1:
                    self.queued.append(_Queue(listener))
                listener.sock.close()

    def serve_queued(self) -> None:
        """Serve the connections that were kept."""
        queued, self.queued = self.queued, []
        for queue in queued:
            while queue.waiting:
                try:
                    self.loop.accept_client(queue)  # type: ignore[arg-type] # like a listener
                except OSError as error:
                    self.loop.log.debug("A connection of the queue: %s", error)


class _Queue:
    """The connections that waited at a listener; looks like the listener to who accepts."""

    def __init__(self, listener: ListenerChannel) -> None:
        self.address = listener.address
        self.sock = self
        self.waiting: list[tuple[socket.socket, Any]] = []
        try:
            while len(self.waiting) < MOST:
                self.waiting.append(listener.sock.accept())
        except OSError as error:
            # EAGAIN: that was the last one. Or there are no more descriptors for others.
            self.end = error
        self.waiting.reverse()

    def accept(self) -> tuple[socket.socket, Any]:
        return self.waiting.pop()
