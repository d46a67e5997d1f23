"""Giving up the arbiter's identity: a worker runs application code and needs none of root's rights.

The order is forced: once the user is no longer root, groups can no longer be set.
"""

from __future__ import annotations

import os
import pwd

from gunicorn.errors import ConfigError


def drop(uid: int, gid: int, *, initgroups: bool = False) -> None:
    """Make this process run as `uid` and `gid` for good, real and saved ids included.

    Does nothing when it does so already. With `initgroups` the supplementary groups become those
    of the user in the group database and `gid`; otherwise they stay, as a container may have been
    given some to reach its volumes, but for root's own group (setuid(2), initgroups(3)). Raises
    ConfigError when the system refuses.
    """
    if uid == os.geteuid() and gid == os.getegid() and not initgroups:
        return
    try:
        _set_groups(uid, gid, initgroups=initgroups)
        if gid != os.getegid():
            os.setgid(gid)
        if uid != os.geteuid():
            os.setuid(uid)
    except PermissionError as error:
        raise ConfigError(
            f"user, group: this process, of user {os.geteuid()} and group {os.getegid()}, may not"
            f" become user {uid} and group {gid} ({error.strerror}). Start the server as root,"
            " or leave both settings out."
        ) from error


def _set_groups(uid: int, gid: int, *, initgroups: bool) -> None:
    if initgroups:
        os.initgroups(_user_name(uid), gid)
    elif os.geteuid() == 0 and uid != 0:
        # Group 0 would go on opening root's files to the application.
        os.setgroups([group for group in os.getgroups() if group != 0])


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise ConfigError(
            f"initgroups: user {uid} is not in the user database, so its groups are unknown."
            " Name an existing user, or leave initgroups out."
        ) from None
