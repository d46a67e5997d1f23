"""Whether a client is still there, asked in the middle of its request.

Whoever sends learns that from the send: a client that has closed its socket answers with a reset,
and the next send fails. Whoever has nothing to send for a while, as an application that waits for
events, has to look. The look is one system call, which takes nothing from the socket.

A client that has closed its sending side may still be waiting for the response; most that did so
have gone. One that is LEAVING is therefore believed to be there for as long as something is sent to
it, and for LEAVING_TIME without.
"""

from __future__ import annotations

import select
import socket

from gunicorn.syscalls import poll

HERE, LEAVING, GONE = range(3)

LEAVING_TIME = 2.0
"""Seconds without anything to send for which a client is kept that has closed its sending side."""

BROKEN = select.POLLERR | select.POLLHUP | select.POLLNVAL

CLOSED_ITS_SIDE: int = getattr(select, "POLLRDHUP", 0)
"""Told by Linux, whatever is still to be read; elsewhere it is found where the data ends."""


def presence_of(sock: socket.socket, descriptor: int, *, plain: bool) -> int:
    """HERE, LEAVING or GONE; only a `plain` socket, without TLS, can be peeked at."""
    ready = poll()
    ready.register(descriptor, CLOSED_ITS_SIDE or select.POLLIN)
    events = sum(mask for _, mask in ready.poll(0))
    if events & BROKEN:
        return GONE
    if CLOSED_ITS_SIDE:
        return LEAVING if events & CLOSED_ITS_SIDE else HERE
    if not events or not plain:
        return HERE
    try:
        return HERE if sock.recv(1, socket.MSG_PEEK) else LEAVING
    except BlockingIOError:
        return HERE
    except OSError:
        return GONE
