"""A unix socket is given to the user of the workers, and nothing else that is in its place."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from gunicorn import unix_path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")

UID, GID = 54321, 43210


def owner(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_uid, status.st_gid


def test_a_socket_is_given_away(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        unix_path.give_away(str(tmp_path / "s"), UID, GID)
    assert owner(tmp_path / "s") == (UID, GID)


@pytest.mark.parametrize("kind", ["file", "symbolic link", "hard link", "link to a socket"])
def test_what_has_taken_its_place_is_not(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    if kind == "link to a socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(target))
    else:
        target.touch()
    place = tmp_path / "s"
    if kind == "file":
        place.touch()
    elif kind == "hard link":
        os.link(target, place)
    else:
        place.symlink_to(target)
    with pytest.raises(OSError, match="another file has taken the place"):
        unix_path.give_away(str(place), UID, GID)
    assert owner(target) == (0, 0)
    assert owner(place) == (0, 0)
