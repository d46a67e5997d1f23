"""poll(2), epoll(7), read(2), write(2) and sockets as the system has them.

A configuration file may patch the standard library for green threads (`eventlet.monkey_patch()`):
then some of these are gone from their modules, and others wait for a hub where they would return
EAGAIN. The arbiter has no green threads, nor have most workers. So they take these from here, where
they have been since before the file was read.
"""

from __future__ import annotations

import select
from _socket import socket, socketpair
from os import read, write

poll = select.poll
epoll = getattr(select, "epoll", None)
"""None where the system has none."""

__all__ = ["epoll", "poll", "read", "socket", "socketpair", "write"]
