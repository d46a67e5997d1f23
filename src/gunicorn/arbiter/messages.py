"""What arrives at the arbiter by sockets: from whom, and what, and nothing more than was asked for.

The other end is held by a template, and by the workers that it has just forked; with `refork_after`
by every worker. These run the application, perhaps as another user. So the sender is whom the
kernel says (SCM_CREDENTIALS, unix(7)), whatever the message claims, and a message is text of a
bounded length, with one descriptor at most. What to make of it is for the caller to judge.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

MESSAGE = 2048
"""Bytes of the longest message."""
TURN = 32
"""Messages of one socket that are looked at in one turn of the loop."""

CREDENTIALS = struct.Struct("3i")
"""struct ucred: process, user, group."""
DESCRIPTOR = struct.calcsize("i")
ROOM = CREDENTIALS.size, DESCRIPTOR


class Message(NamedTuple):
    """One message. `sender` is 0 where the kernel does not know the process here."""

    sender: int
    kind: str
    rest: str
    descriptor: int | None
    """For the receiver to close."""


def authenticate(channel: socket.socket) -> None:
    """Have the kernel tell the sender of each message that arrives at `channel` (Linux)."""
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)


def receive(channel: socket.socket) -> Message | None:
    """The next message; None when there is none yet. EOFError when there will be none any more."""
    try:
        data, ancillary, _, _ = channel.recvmsg(
            MESSAGE,
            sum(map(socket.CMSG_SPACE, ROOM)),
            # The flag of the socket is shared with whoever has a copy of it.
            socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC,
        )
    except BlockingIOError:
        return None
    except OSError as error:
        raise EOFError from error
    sender, descriptors = 0, []
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            sender = CREDENTIALS.unpack(content[: CREDENTIALS.size])[0]
        elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            whole = content[: len(content) // DESCRIPTOR * DESCRIPTOR]
            descriptors += [each for (each,) in struct.iter_unpack("i", whole)]
    if not (data or ancillary):
        raise EOFError
    # Padding has room for another one.
    for unasked in descriptors[1:]:
        os.close(unasked)
    word, _, rest = data.decode("utf-8", "replace").partition(" ")
    return Message(sender, word, rest, descriptors[0] if descriptors else None)


def send(channel: socket.socket, text: str) -> None:
    """Send a message without waiting. OSError when it cannot be sent."""
    channel.send(text.encode()[:MESSAGE], socket.MSG_DONTWAIT)


def is_child(pid: int) -> bool:
    """Whether `pid` is a child of this process that has not been collected.

    Only such a number stays what it is until then: no other process can get it.
    """
    if pid <= 0:
        return False
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (ChildProcessError, OverflowError):
        return False
    return True
