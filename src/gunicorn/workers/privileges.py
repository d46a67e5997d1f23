"""Giving up the arbiter's identity: a worker runs application code and needs none of root's rights.

The order is forced: once the user is no longer root, groups can no longer be set.
"""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from gunicorn.errors import ConfigError

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.glogging import Logger


def check(cfg: Config, log: Logger) -> None:
    """Warn of what `cfg` leaves open; for the arbiter, which says it once for all workers."""
    if _name(cfg.uid) is not None:
        return
    if cfg.initgroups:
        log.warning(
            "initgroups: user %d is not in the user database, so its groups are unknown. Workers"
            " get group %d alone.",
            cfg.uid,
            cfg.gid,
        )
    elif os.geteuid() == 0 and cfg.gid == 0 and cfg.settings["group"].is_default:
        log.warning(
            "user: user %d is not in the user database, so its group is unknown. Workers keep"
            " root's group; set group.",
            cfg.uid,
        )


def drop(uid: int, gid: int, *, initgroups: bool = False) -> None:
    """Make this process run as `uid` and `gid` for good, real and saved ids included.

    Does nothing when it does so already. With `initgroups` the supplementary groups become those
    of the user in the group database and `gid`; otherwise, and for a user that has no entry, they
    stay, as a container may have been given some to reach its volumes, but for root's own group
    (setuid(2), initgroups(3)). Raises ConfigError when the system refuses.
    """
    name = _name(uid) if initgroups else None
    if uid == os.geteuid() and gid == os.getegid() and name is None:
        return
    try:
        if name is not None:
            os.initgroups(name, gid)
        elif os.geteuid() == 0 and uid != 0:
            # Group 0 would go on opening root's files to the application.
            os.setgroups([group for group in os.getgroups() if group != 0])
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


def _name(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
