"""A Python that users without rights can read, for servers that become such a user.

The interpreter of the tests, their environment and the checkout may be in a folder of one user
alone (root's home, say), and then nobody else can import anything. Real deployments are where their
user can read them; so those folders are linked, file by file, to a place that everybody can read.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gunicorn

ELSEWHERE = "site-packages", "test", "idlelib"
"""Below the standard library: what is no part of it, or no server imports."""


@functools.cache
def environment() -> dict[str, str]:
    """What to add to the environment of a command so that any user can import what it can.

    It must be started by somebody who may read everything, and become that user later. The place is
    made once, and removed when this process ends.
    """
    library, packages = sysconfig.get_path("stdlib"), sysconfig.get_path("platlib")
    ours = os.path.dirname(os.path.dirname(gunicorn.__file__))
    if all(map(is_open, (library, packages, ours))):
        return {}
    place = tempfile.TemporaryDirectory(prefix="readable-python-")
    KEPT.append(place)
    home = Path(place.name)
    home.chmod(0o755)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    link(library, home / "lib" / version, ELSEWHERE)
    link(packages, home / "packages")
    link(os.path.join(ours, "gunicorn"), home / "ours" / "gunicorn")
    return {"PYTHONHOME": str(home), "PYTHONPATH": f"{home}/ours:{home}/packages"}


KEPT: list[tempfile.TemporaryDirectory[str]] = []


def is_open(path: str) -> bool:
    """Whether everybody may read a folder, and go through those above it."""
    folders = [Path(path), *Path(path).resolve().parents]
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in folders[:1]) and all(
        folder.stat().st_mode & 0o001 for folder in folders
    )


def link(source: str, target: Path, elsewhere: tuple[str, ...] = ()) -> None:
    shutil.copytree(
        source,
        target,
        copy_function=link_or_copy,
        ignore=shutil.ignore_patterns(*elsewhere) if elsewhere else None,
    )


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder that everybody can reach, as pytest's are for their own user alone."""
    with tempfile.TemporaryDirectory(prefix="gunicorn-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)
