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

import array
import contextlib
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

from gunicorn.scoreboard import SHARED

if TYPE_CHECKING:
    from gunicorn.workers.channels import ListenerChannel
    from gunicorn.workers.loop import EventLoop

SO_ATTACH_FILTER = 26
SYN, ACK = 0x02, 0x10

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
        # What a copy did to a listener it would do to the service.
        worker.end_copies()
        told = os.getppid() == worker.ppid
        # Without an arbiter each worker takes some.
        closing = worker.tmp.closing if told else -1
        alone = told or not loop.cells[SHARED]
        loop.stop_accepting()
        for index, listener in enumerate(loop.listeners):
            if listener.sock.fileno() >= 0:
                if closing >> index & 1:
                    if alone:
                        refuse_more(listener.sock)
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


def refuse_more(listener: Any) -> None:
    """Have the kernel ignore whoever begins to connect from now on (Linux, TCP).

    Otherwise a connection could be completed after the last was accepted and before the listener is
    closed, which resets it. Who is ignored tries again within a second, and is refused.
    """
    if sys.platform != "linux" or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    # Classic BPF on the TCP header (RFC 9293, 3.1): drop SYN without ACK, let the rest pass.
    program = array.array(
        "B",
        b"".join(
            struct.pack("HBBI", *step)
            for step in (
                (0x30, 0, 0, 13),  # ldb [13]: the flags
                (0x54, 0, 0, SYN | ACK),  # and
                (0x15, 0, 1, SYN),  # jeq
                (0x06, 0, 0, 0),  # ret: nothing of the packet
                (0x06, 0, 0, 0xFFFFFFFF),  # ret: all of it
            )
        ),
    )
    address, size = program.buffer_info()
    with contextlib.suppress(OSError):
        # Where the kernel has no filters the gap stays.
        listener.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", size // 8, address)
        )


class _Queue:
    """The connections that waited at a listener; looks like the listener to who accepts."""

    def __init__(self, listener: ListenerChannel) -> None:
        self.address = listener.address
        self.sock = self
        own = listener.sock
        self.family, self.type, self.proto = own.family, own.type, own.proto
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

    def _accept(self) -> tuple[int, Any]:
        """As that of socket.socket: what `accept` of the standard library is made of."""
        client, peer = self.waiting.pop()
        return client.detach(), peer
