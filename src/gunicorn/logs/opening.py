"""Opening a log file as root, for workers that are somebody else.

The folder of a log may be one that the workers may write. Whoever has taken over a worker can put a
symbolic or a hard link to /etc/shadow there in place of the log, and wait for the next start or
USR1: root would write to the target, or give it away. So root opens a log in two steps:

    as that user              the kernel checks every step, and there is nothing to give away
    and where that is denied  (the log is in a folder of root's) as root, folder by folder. Symbolic
                              links are followed from folders where nobody but root can put any.
                              In others only a plain file is taken that has no other name

A file that root has opened by itself is given to the user, unless somebody else may have chosen it.
For a process that is not root all this is an ordinary open.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

MOST_LINKS = 40
"""Symbolic links on a path, as in the kernel (path_resolution(7))."""

# Without O_NONBLOCK a FIFO that nobody reads would hold up whoever opens it.
_APPEND = (
    os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
)  # fmt: skip
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class Identity(NamedTuple):
    """The user and group that workers become."""

    uid: int
    gid: int


def open_to_append(path: str, user: Identity | None = None) -> int:
    """A descriptor of the file `path`, made if need be; each write goes to its end.

    `user` is who will write to it, if that is not the user of this process. OSError when it cannot
    be opened, or must not be followed.
    """
    if user is None or user.uid == 0 or os.geteuid() != 0:
        return _open(path)
    try:
        with acting_as(user):
            return _open(path)
    except PermissionError:
        return _Walk(user).open(path)


@contextlib.contextmanager
def acting_as(user: Identity) -> Iterator[None]:
    """Have the rights of `user` for a moment, in all threads; they cannot signal this process."""
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups([group for group in groups if group != 0])
    try:
        os.setegid(user.gid)
        os.seteuid(user.uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def open_stream(handler: logging.FileHandler, user: Identity | None) -> Any:
    """The stream of a FileHandler of the standard library, opened by the same rules."""
    fd = open_to_append(handler.baseFilename, user)
    if "w" in handler.mode:
        os.ftruncate(fd, 0)
    return os.fdopen(fd, handler.mode, encoding=handler.encoding, errors=handler.errors)


@contextlib.contextmanager
def careful_handlers(user: Identity | None) -> Iterator[None]:
    """Have FileHandlers of the standard library open their files by these rules in the block.

    They are made by a logging configuration, which has no place for another way of opening.
    """
    if user is None or user.uid == 0 or os.geteuid() != 0:
        yield
        return
    before = logging.FileHandler._open

    def careful(handler: logging.FileHandler) -> Any:
        # And whenever it opens its file again, to rotate it.
        handler.__dict__["_open"] = partial(open_stream, handler, user)
        return open_stream(handler, user)

    vars(logging)["FileHandler"]._open = careful
    try:
        yield
    finally:
        vars(logging)["FileHandler"]._open = before


def _open(path: str, flags: int = 0, at: int | None = None) -> int:
    try:
        return os.open(path, _APPEND | flags, 0o666, dir_fd=at)
    except OSError as error:
        if error.errno != errno.ENXIO or not stat.S_ISFIFO(os.stat(path, dir_fd=at).st_mode):
            raise
    # A FIFO that nobody reads yet. To be a reader as well is to be able to open it.
    return os.open(path, (_APPEND | flags) & ~os.O_WRONLY | os.O_RDWR, dir_fd=at)


class _Walk:
    """From folder to folder, knowing whether others could have had a hand in what is found."""

    def __init__(self, user: Identity) -> None:
        self.user = user
        self.at = -1
        self.trusted = True
        """Whether nobody but root could have put there what is found in the folder `at`."""
        self.sticky = False
        """Whether at least what is root's in there cannot have been put there by others."""

    def open(self, path: str) -> int:
        """Open the file `path` to append to it, and give it to the user where that is safe."""
        left = self._begin(path)
        links = 0
        try:
            while left:
                name = left.pop()
                target = self._target(name)
                if target is None and not left:
                    return self._take(name)
                if target is None:
                    self._go(name)
                elif self._in_proc() and not name.endswith("self"):
                    # A descriptor of this process (/dev/stdout), which the kernel alone can follow.
                    return _open(name, 0, self.at)
                else:
                    links += 1
                    if links > MOST_LINKS or not self.trusted:
                        raise _refusal(path, f"{name!r} is a symbolic link")
                    left += self._begin(target) if target.startswith("/") else _names(target)
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        finally:
            os.close(self.at)

    def _begin(self, path: str) -> list[str]:
        """Start at the root, or in the current folder; returns the names, the first one last."""
        self.trusted = True
        self._go("/" if path.startswith("/") else ".")
        return _names(path)

    def _go(self, name: str) -> None:
        folder = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=self.at if self.at >= 0 else None)
        if self.at >= 0:
            os.close(self.at)
        self.at = folder
        status = os.fstat(folder)
        of_root = status.st_uid == 0 and (self.trusted or self.sticky)
        self.trusted = of_root and self._only_root_writes(status.st_mode)
        self.sticky = of_root and bool(status.st_mode & stat.S_ISVTX)

    def _only_root_writes(self, mode: int) -> bool:
        if mode & stat.S_IWOTH:
            return False
        # Of a group that the user is in, or by an access list: the kernel knows.
        with acting_as(self.user):
            return not os.access(".", os.W_OK, dir_fd=self.at, effective_ids=True)

    def _target(self, name: str) -> str | None:
        try:
            return os.readlink(name, dir_fd=self.at)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOENT}:
                return None
            raise

    def _in_proc(self) -> bool:
        try:
            return os.fstat(self.at).st_dev == os.stat("/proc").st_dev
        except FileNotFoundError:
            return False

    def _take(self, name: str) -> int:
        fd = _open(name, os.O_NOFOLLOW, self.at)
        status = os.fstat(fd)
        if self.trusted:
            if stat.S_ISREG(status.st_mode):
                os.fchown(fd, *self.user)
        elif not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            os.close(fd)
            raise _refusal(name, "it is no plain file with one name")
        return fd


def _names(path: str) -> list[str]:
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]


def _refusal(path: str, why: str) -> OSError:
    text = f"{why} in a folder where others than root can put one, so root does not follow it"
    return OSError(errno.ELOOP, text, path)
