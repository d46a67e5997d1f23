"""Kept connections that wait behind a slow request are passed to a sibling that is free.

The workers of a server share a pair of connected unix sockets that the arbiter made before it
forked them. A worker whose threads are all in the application puts each connection that becomes
readable into one end: the descriptor (SCM_RIGHTS), and what the worker knows of it. Workers that
have a thread free wait for the other end beside their listeners. So while all are busy, such
connections are in one queue for whoever is free first.

Not a byte of the request has been read then, and a descriptor in the queue belongs to nobody: the
connection survives the end of the worker that it comes from, and is served by those that are left
or come after.
"""

from __future__ import annotations

import array
import json
import os
import socket
from functools import cache
from typing import Any, NamedTuple

from gunicorn.syscalls import epoll

FACTS = (
    "SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "REMOTE_PORT",
    "PROXY_PROTOCOL", "PROXY_ADDR", "PROXY_PORT",
)  # fmt: skip
"""The meta-variables of a connection that its socket alone does not tell."""

MESSAGE_SIZE = 4096
DESCRIPTOR_SIZE = array.array("i").itemsize


class Given(NamedTuple):
    """A connection that was passed on."""

    sock: socket.socket
    peer: Any
    used: bool
    """Whether a request has been answered on it."""
    variables: dict[str, str]


class Siblings:
    """The queue of connections between workers."""

    def __init__(self) -> None:
        # Packets keep their borders, and the room for them is the socket's buffer: some hundreds.
        self.entrance, self.exit = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.entrance.setblocking(False)
        self.exit.setblocking(False)

    def close(self) -> None:
        """Let go of this process's hold on the queue."""
        self.entrance.close()
        self.exit.close()

    def give(self, sock: socket.socket, peer: Any, used: bool, variables: dict[str, Any]) -> bool:
        """Put a connection into the queue; the caller closes its own copy. False: no room."""
        facts = {name: variables[name] for name in FACTS if name in variables}
        if isinstance(peer, bytes):
            # What the kernel says of a client of a unix socket that has no name.
            peer = ""
        message = json.dumps([peer, used, facts]).encode()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))]
        try:
            self.entrance.sendmsg([message], rights)
        except OSError:
            # Full, or more descriptors on their way than the kernel allows this user.
            return False
        return True

    def take(self) -> Given | None:
        """Take the first connection of the queue; None when there is none.

        Raises OSError when this process has no descriptor left; the connection stays then.
        """
        # Without room for a descriptor the kernel would drop it, so look for room first.
        os.close(os.dup(self.exit.fileno()))
        try:
            message, rights, _, _ = self.exit.recvmsg(
                MESSAGE_SIZE, socket.CMSG_SPACE(DESCRIPTOR_SIZE), socket.MSG_CMSG_CLOEXEC
            )
        except (BlockingIOError, ConnectionError):
            return None
        if not message or not rights:
            return None
        return _read(message, int.from_bytes(rights[0][2][:DESCRIPTOR_SIZE], "little"))


def _read(message: bytes, descriptor: int) -> Given | None:
    """What a sibling has put into the queue; None, and closed, if that makes no sense.

    A worker that has been taken over may put anything there; it is not to end the others.
    """
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return None
    try:
        peer, used, variables = json.loads(message)
        facts = {name: str(variables[name]) for name in FACTS if name in variables}
        sock.setblocking(False)
    except (ValueError, TypeError, OSError, RecursionError):
        sock.close()
        return None
    return Given(sock, tuple(peer) if isinstance(peer, list) else str(peer), bool(used), facts)


@cache
def common_queue() -> Siblings | None:
    """The one queue of this server, made with its first workers and inherited by all of them.

    So those of an older generation, one of which may be in a long call, give to those of a newer
    one. None where the system has no epoll, on which the loops wait for the queue and each other.
    """
    return Siblings() if epoll else None
