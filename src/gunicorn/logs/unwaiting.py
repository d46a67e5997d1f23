"""Writing without waiting to a descriptor that others share.

Standard output is often a pipe, a terminal or a socket, of a shell, a container's runtime or the
journal. When nobody reads it a write waits for ever, and with it a worker that only wanted to log a
request. O_NONBLOCK is no remedy: it belongs to the open file description, so writes of the shell
and of the application would fail as well. Nor is a poll before the write: several processes share
the pipe, and another may take the room that was seen. So the kernel is asked, write by write:

    Linux                  pwritev2(2) with RWF_NOWAIT
    where that is not had  sockets: MSG_DONTWAIT; others are opened once more, by /proc, with a
                           description of their own that has O_NONBLOCK
    where neither is       poll(2), then a write that fits into what poll(2) promises
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import stat
import sys
import traceback
from _socket import MSG_DONTWAIT, socket  # the one that libraries of green threads do not replace
from time import monotonic

from gunicorn.syscalls import poll, write

MOMENT = 0.05
"""Seconds that a line may wait for the reader of a full pipe or socket."""
PAUSE = 1.0
"""Seconds between a wait that was in vain and the next one."""

_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ESPIPE}


def may_wait(fd: int) -> bool:
    """Whether a write to `fd` may wait for a reader: a pipe, a socket or a terminal."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or (stat.S_ISCHR(mode) and os.isatty(fd))


def write_now(fd: int, data: bytes) -> int:
    """Write what there is room for; returns how many bytes. BlockingIOError when there is none."""
    if _NOWAIT:
        try:
            return os.pwritev(fd, (data,), -1, _NOWAIT)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
    return _write_otherwise(fd, data)


def complain(record: logging.LogRecord) -> None:
    """Tell standard error that `record` failed with the exception being handled, or tell nobody.

    Without the arguments of the record: those of a request hold its credentials.
    """
    if not logging.raiseExceptions or sys.stderr is None:
        return
    text = (
        f"--- Logging error ---\n{traceback.format_exc()}Message: {record.msg!r:.200}\n"
        f"Logged in {record.pathname}, line {record.lineno}\n"
    )
    # Standard error may be closed or full. Then there is nobody left to tell.
    with contextlib.suppress(OSError, ValueError):
        try:
            fd = sys.stderr.fileno()
        except (OSError, ValueError, AttributeError):
            fd = -1
        if fd >= 0 and may_wait(fd):
            write_now(fd, text.encode("utf-8", "backslashreplace"))
        else:
            sys.stderr.write(text)
            sys.stderr.flush()


class Patience:
    """How long a line may wait for a reader that is busy: a moment, now and then.

    When a wait was in vain there is no other for `PAUSE` seconds, so whatever the reader does, of
    each second a process spends no more than `MOMENT` waiting.
    """

    def __init__(self) -> None:
        self.again_at = 0.0

    def room(self, fd: int) -> bool:
        """Whether there is room in `fd` (or an error to be seen), now or in a moment."""
        now = monotonic()
        if now < self.again_at:
            return False
        if _room_within(fd, MOMENT):
            return True
        self.again_at = now + PAUSE
        return False


def _room_within(fd: int, seconds: float) -> bool:
    room = poll()
    room.register(fd, select.POLLOUT)
    return bool(room.poll(seconds * 1000))


def _write_otherwise(fd: int, data: bytes) -> int:
    if stat.S_ISSOCK(os.fstat(fd).st_mode):
        return _send(fd, data)
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        own = os.open(f"/proc/self/fd/{fd}", flags)
    except OSError:
        # No /proc, or a pipe that the user of this worker may not open.
        if not _room_within(fd, 0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
        return write(fd, data[: select.PIPE_BUF])
    try:
        return write(own, data)
    finally:
        os.close(own)


def _send(fd: int, data: bytes) -> int:
    borrowed = socket(fileno=fd)
    try:
        return borrowed.send(data, MSG_DONTWAIT)
    finally:
        borrowed.detach()
