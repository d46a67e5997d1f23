"""Waiting for many descriptors at once: epoll on Linux, poll elsewhere.

Both wait level-triggered, in the same words: descriptors, and masks of READ and WRITE.
"""

from __future__ import annotations

import select
from collections.abc import Iterable
from typing import Protocol

from gunicorn import syscalls

READ = select.POLLIN
WRITE = select.POLLOUT
# Values of linux/eventpoll.h; `select` has the name only where the C library of the build had it.
EXCLUSIVE = getattr(select, "EPOLLEXCLUSIVE", 1 << 28)


class Poller(Protocol):
    """Registered descriptors, and a wait for any of them to become ready."""

    def register(self, fd: int, mask: int, /) -> None: ...
    def register_shared(self, fd: int, /) -> None:
        """Register a listener that other processes wait for too; wakes one of them if it can."""

    def queue_up(self, fd: int, /) -> None:
        """Go to the end of the line of processes that wait for this listener."""

    def modify(self, fd: int, mask: int, /) -> object: ...
    def unregister(self, fd: int, /) -> None: ...
    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """Wait up to `timeout` seconds; return ready descriptors with what they are ready for."""

    def fileno(self) -> int:
        """A descriptor that is ready when one of those registered is; -1 where there is none."""

    def descriptors(self) -> Iterable[int]:
        """The descriptors that the poller has opened."""

    def close(self) -> None: ...


class EpollPoller:
    """Linux: the cost of a wait does not depend on how many connections are idle."""

    def __init__(self) -> None:
        epoll: select.epoll = syscalls.epoll()  # type: ignore[misc] # the caller has looked
        self.poll = epoll.poll
        self.register = epoll.register
        self.modify = epoll.modify
        self.unregister = epoll.unregister
        self.fileno = epoll.fileno
        self.close = epoll.close

    def register_shared(self, fd: int, /) -> None:
        self.register(fd, READ | EXCLUSIVE)

    def queue_up(self, fd: int, /) -> None:
        # The kernel wakes the first in line that is waiting, and the line is that of registrations.
        self.unregister(fd)
        self.register(fd, READ | EXCLUSIVE)

    def descriptors(self) -> Iterable[int]:
        return (self.fileno(),)


class PollPoller:
    """Everywhere else."""

    def __init__(self) -> None:
        self.poller = syscalls.poll()
        self.register = self.poller.register
        self.modify = self.poller.modify
        self.unregister = self.poller.unregister

    def register_shared(self, fd: int, /) -> None:
        self.register(fd, READ)

    def queue_up(self, fd: int, /) -> None:
        """All are woken, whatever their order."""

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        return self.poller.poll(timeout * 1000)

    def fileno(self) -> int:
        return -1

    def descriptors(self) -> Iterable[int]:
        return ()

    def close(self) -> None:
        pass


def new_poller() -> Poller:
    """The best poller of this platform."""
    return EpollPoller() if syscalls.epoll else PollPoller()
