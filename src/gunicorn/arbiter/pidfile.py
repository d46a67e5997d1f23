"""The file that tells other programs the pid of the arbiter.

It exists whole or not at all: the text is written to a temporary file beside it, which is then
renamed to its name. A file whose process is gone, or that names no process at all, is stale and is
replaced; the file of an arbiter that lives is never touched.

That a process of that number runs does not tell that it is the one which wrote the file: after a
crash, and more so after the machine or the container was started anew, the number may be another
program's. So three things are asked, in this order:

    does it run             kill(2) with signal 0; a zombie does not count
    is the file locked      an arbiter keeps a lock on its file (fcntl(2)) for as long as it lives
    is it as old as that    a process that began after the file was written has not written it

The lock may be missing: not every file system has locks, and other versions do not take one. The
age may be unknown: not every system has /proc. What nobody can tell counts as the owner.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import stat
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gunicorn.errors import HaltServer

if TYPE_CHECKING:
    from gunicorn.arbiter.arbiter import Arbiter

SLACK = 1.0
"""Seconds by which the two clocks that are compared (files, processes) may be apart."""


class Pidfile:
    """A pidfile at `path`, created by `create` and removed by `unlink`."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.pid: int | None = None
        self._held = -1
        """The descriptor that the lock belongs to."""

    def create(self, pid: int) -> None:
        """Write `pid`. HaltServer when the arbiter that owns it lives, or it cannot be written."""
        self._write(self.path, pid)
        self.pid = pid

    def rename(self, path: str) -> None:
        """Move the file to `path`, under the conditions of `create`."""
        new = os.path.abspath(path)
        if new == self.path or self.pid is None:
            return
        self._write(new, self.pid)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.path = new

    def unlink(self) -> None:
        """Remove the file if it still names the pid that `create` wrote."""
        if self.pid is not None and self.read() == self.pid:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
        self.pid = None
        self.let_go()

    def read(self) -> int | None:
        """The pid in the file; None when there is no file or no pid in it."""
        with _opened(self.path) as fd:
            return None if fd is None else _pid_in(fd)

    def let_go(self) -> None:
        """Close the descriptor. In a forked process: the lock is not its, nor is the file."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def _write(self, path: str, pid: int) -> None:
        import tempfile  # noqa: PLC0415 - rarely needed, and slow to import

        try:
            fd, temporary = tempfile.mkstemp(prefix=".pid-", dir=os.path.dirname(path))
            try:
                os.write(fd, b"%d\n" % pid)
                # By the clock of the file system, which may be that of another machine.
                _check_free(path, pid, os.fstat(fd).st_mtime)
                os.chmod(temporary, 0o644)
                # Not every file system has locks; without one the other signs decide.
                with contextlib.suppress(OSError):
                    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.rename(temporary, path)
            except BaseException:
                os.close(fd)
                os.unlink(temporary)
                raise
        except OSError as error:
            raise HaltServer(
                f"pidfile {path} cannot be written: {error.strerror}; "
                "the folder must exist and be writable for the user who starts the server"
            ) from error
        self.let_go()
        self._held = fd


def settle(arbiter: Arbiter) -> None:
    """Have the pidfile that is configured now; beside an older arbiter its name ends in `.2`.

    HaltServer when it belongs to another process, or cannot be written.
    """
    wanted = arbiter.cfg.pidfile and arbiter.cfg.pidfile + (".2" if arbiter.upgrade.parent else "")
    if arbiter.pidfile is not None and wanted:
        arbiter.pidfile.rename(wanted)
    elif arbiter.pidfile is not None:
        arbiter.pidfile.unlink()
        arbiter.pidfile = None
    elif wanted:
        pidfile = Pidfile(wanted)
        pidfile.create(arbiter.pid)
        arbiter.pidfile = pidfile


def move(arbiter: Arbiter) -> None:
    """Settle the pidfile in mid-service, where a failure is no reason to end."""
    try:
        settle(arbiter)
    except HaltServer as halt:
        arbiter.log.log(logging.ERROR, "%s", halt.reason)


def remove(arbiter: Arbiter) -> None:
    """At the end: remove the pidfile if it is still this arbiter's."""
    try:
        if arbiter.pidfile is not None:
            arbiter.pidfile.unlink()
    except (HaltServer, OSError) as error:
        arbiter.log.warning("The pidfile stays: %s", error)


def _check_free(path: str, pid: int, now: float) -> None:
    """HaltServer when the file at `path` has a living owner other than `pid`."""
    owner = _owner_of(path, now)
    if owner not in {None, pid}:
        raise HaltServer(
            f"pidfile {path} belongs to process {owner}, which is running: "
            "stop it, or choose another --pid"
        )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int | None]:
    """The file, None when there is none; what is no file is not waited for, nor read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise HaltServer(f"pidfile {path} cannot be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(mode := os.fstat(fd).st_mode):
            wrong = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
            raise HaltServer(f"pidfile {path} cannot be read: {os.strerror(wrong)}")
        yield fd
    finally:
        os.close(fd)


def _pid_in(fd: int) -> int | None:
    text = os.pread(fd, 64, 0).strip()
    return int(text) if text.isdigit() and int(text) > 0 else None


def _owner_of(path: str, now: float) -> int | None:
    """The process that has written the file, if it runs."""
    with _opened(path) as fd:
        if fd is None:
            return None
        pid = _pid_in(fd)
        if pid is None or not _runs(pid):
            return None
        if _is_locked(fd):
            return pid
        return None if _began_after(os.fstat(fd).st_mtime, now, pid) else pid


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        # It exists, and is another user's.
        return True
    return _stat_of(pid)[:1] != [b"Z"]


def _is_locked(fd: int) -> bool:
    """Whether another process has the lock; False too where there are no locks."""
    try:
        fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in {errno.EAGAIN, errno.EACCES}
    return False


def _began_after(written: float, now: float, pid: int) -> bool:
    """Whether a process began after `written`, on a clock that says `now`; False when unknown."""
    fields = _stat_of(pid)
    if len(fields) < 20 or not hasattr(time, "CLOCK_BOOTTIME"):
        return False
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return now - age > written + SLACK


def _stat_of(pid: int) -> list[bytes]:
    """What /proc/PID/stat says from the state of the process on (proc(5)); nothing without it."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        # No such file system, or gone this moment; then it counts as running a last time.
        return []
