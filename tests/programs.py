"""What some tests need of the machine (programs, root), and what is left out without it.

A machine with Python and make alone, and a user who is not root, run the others, and the end of the
report says what was left out and why. With GUNICORN_TEST_PROGRAMS=all in the environment, as CI has
it, nothing is: a test that lacks what it needs fails.
"""

from __future__ import annotations

import os
import shutil

PACKAGES = {
    "nginx": "nginx",
    "wrk": "wrk",
    "ab": "apache2-utils",
    "systemd-analyze": "systemd",
}
"""What to install on Debian."""

ROOT = "root"
"""Among the needs below: that the tests run as root."""

NEEDED = {
    "deploy/test_nginx.py": ("nginx",),
    "integration/test_nginx.py": ("nginx",),
    "integration/test_load.py": ("wrk", "ab"),
    "deploy/test_systemd_units.py::test_systemd_finds_nothing_wrong": ("systemd-analyze",),
    "integration/test_mechanics.py::test_user_and_group": (ROOT,),
    "integration/test_renewal.py::test_a_key_that_is_roots_alone": (ROOT,),
    "matrix/test_matrix.py::test_a_deployment_as_nobody": (ROOT,),
    "workers_base/test_privileges.py::test_root_becomes_somebody_else_for_good": (ROOT,),
}
"""Which tests, or files of tests, cannot run without what."""


def find(name: str) -> str | None:
    """The path of a program, also where only root has its folder in PATH; None without it."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")


def program(name: str) -> str:
    """The path of a program; AssertionError without it."""
    path = find(name)
    assert path, f"{name} is needed: apt-get install {PACKAGES[name]}"
    return path


def is_root() -> bool:
    """Whether these tests may become any user."""
    return os.geteuid() == 0


def left_out() -> dict[str, list[str]]:
    """The tests that cannot run here, by their file or name, and what is missing."""
    if os.environ.get("GUNICORN_TEST_PROGRAMS") == "all":
        return {}
    missing = {test: [each for each in needs if not has(each)] for test, needs in NEEDED.items()}
    return {test: needs for test, needs in missing.items() if needs}


def has(need: str) -> bool:
    """Whether the machine has one of the needs above."""
    return is_root() if need == ROOT else find(need) is not None
