"""What an event loop waits for beside its connections: listeners, and word of signals."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gunicorn.workers.loop import EventLoop


class Channel(Protocol):
    """Something with a descriptor that the loop waits for."""

    def on_event(self, mask: int, /) -> None: ...


class ListenerChannel:
    """A listener; its event is that there are connections to accept."""

    def __init__(self, loop: EventLoop, sock: socket.socket) -> None:
        self.loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.address = sock.getsockname()

    def on_event(self, _mask: int, /) -> None:
        self.loop.accept(self)


class WakeupChannel:
    """The pipe that signals write to; what arrives only has to be taken out."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def on_event(self, _mask: int, /) -> None:
        try:
            os.read(self.fd, 4096)
        except BlockingIOError:
            return
