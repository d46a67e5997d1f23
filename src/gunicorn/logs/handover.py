"""Passing log files that were opened anew on to workers that may not open them.

After USR1 the arbiter opens every log again. A worker does so by itself, but one that has dropped
its privileges may be unable to: the folder has become root's. So the arbiter leaves descriptors of
the new files in a socket whose other end all its descendants have inherited, those forked from a
template among them:

    arbiter   sender -> [ one message: the names, and the descriptors ] -> receiver   every worker

A worker looks at the message (MSG_PEEK, with which Linux makes descriptors of its own for whoever
looks) and leaves it there for the others; the arbiter takes it out before it puts in the next.
Nothing can be sent the other way, so a worker that was taken over can do no more than steal the
message, and its siblings then keep the files that they have.
"""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Mapping

MOST_FILES = 253
"""Descriptors in a message (SCM_MAX_FD of Linux)."""
MOST_BYTES = 1 << 16
"""Bytes of the names."""


class Handover:
    """The socket; made in the arbiter, before workers are forked."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.sender, self.receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sender.setblocking(False)
        self.receiver.shutdown(socket.SHUT_WR)

    def enter_worker(self) -> None:
        """Let go of the end that is the arbiter's."""
        self.sender.close()

    def clear(self) -> None:
        """Take the message out: its files are no longer the present ones. The arbiter's alone."""
        if os.getpid() == self.owner:
            try:
                while self.receiver.recv(1, socket.MSG_DONTWAIT):
                    continue
            except BlockingIOError:
                return

    def publish(self, files: Mapping[str, int]) -> None:
        """Leave descriptors for the files of these names. OSError when that is not possible."""
        self.clear()
        if os.getpid() == self.owner and files:
            names = list(files)[:MOST_FILES]
            message = json.dumps(names).encode()
            socket.send_fds(self.sender, [message], [files[name] for name in names])

    def look(self) -> dict[str, int]:
        """Descriptors of one's own for the files of the message, by their names."""
        room = socket.CMSG_SPACE(MOST_FILES * array.array("i").itemsize)
        flags = socket.MSG_PEEK | socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
        try:
            message, ancillary, _, _ = self.receiver.recvmsg(MOST_BYTES, room, flags)
        except BlockingIOError:
            return {}
        found = array.array("i")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found.frombytes(data[: len(data) - len(data) % found.itemsize])
        return dict(zip(json.loads(message), found, strict=False)) if message else {}
