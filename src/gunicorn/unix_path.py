"""The path of a unix socket: what may be there already, and what may be removed."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys

from gunicorn.errors import ConfigError

UNIX_PATH_MAX = 107 if sys.platform == "linux" else 103
"""Bytes that fit into sockaddr_un.sun_path beside the closing NUL (unix(7))."""


def check(path: str) -> None:
    """Raise ConfigError for a path that no socket can have."""
    length = len(os.fsencode(path))
    if length > UNIX_PATH_MAX:
        raise ConfigError(
            f"bind: the path of a unix socket may have {UNIX_PATH_MAX} bytes,"
            f" {path!r} has {length}. Choose a shorter one, or a relative one with chdir."
        )


def clear(path: str) -> None:
    """Remove the socket of a server that is gone; leave everything else alone."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if not os.path.islink(path):
            return
        mode = stat.S_IFLNK
    if not stat.S_ISSOCK(mode):
        raise ConfigError(
            f"bind: {path!r} exists and is not a socket. Remove it or choose another path."
        )
    with socket.socket(socket.AF_UNIX) as probe:
        # A live server whose backlog is full answers EAGAIN instead of having us wait.
        probe.setblocking(False)
        refusal = probe.connect_ex(path)
    if refusal != errno.ECONNREFUSED:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)
    os.unlink(path)


def give_away(path: str, uid: int, gid: int) -> None:
    """Give the socket at `path` to `uid` and `gid`. OSError when something else is there now.

    In a folder that others may write a link, or another file, may have taken its place since it was
    bound, and root would give that away.
    """
    if not hasattr(os, "O_PATH"):
        os.chown(path, uid, gid, follow_symlinks=False)
        return
    # The file itself, whichever name it will have in a moment.
    held = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(held).st_mode):
            raise OSError(errno.EPERM, "another file has taken the place of the socket", path)
        try:
            os.chown(f"/proc/self/fd/{held}", uid, gid)
        except FileNotFoundError:
            # Without /proc.
            os.chown(path, uid, gid, follow_symlinks=False)
    finally:
        os.close(held)


def inode(path: str) -> tuple[int, int] | None:
    """What tells the file at `path` from others; None when there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
