"""Programs of the system's packages that some tests need, and what is left out without them.

A machine with Python and make alone runs the others, and the end of the report says what was left
out. With GUNICORN_TEST_PROGRAMS=all in the environment, as CI has it, nothing is.
"""

from __future__ import annotations

import os
import shutil

PACKAGES = {"nginx": "nginx", "wrk": "wrk", "ab": "apache2-utils"}
"""What to install on Debian."""

NEEDED = {
    "deploy/test_nginx.py": ("nginx",),
    "integration/test_nginx.py": ("nginx",),
    "integration/test_load.py": ("wrk", "ab"),
}
"""Which tests cannot run without which programs."""


def find(name: str) -> str | None:
    """The path of a program, also where only root has its folder in PATH; None without it."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")


def program(name: str) -> str:
    """The path of a program; AssertionError without it."""
    path = find(name)
    assert path, f"{name} is needed: apt-get install {PACKAGES[name]}"
    return path


def left_out() -> dict[str, list[str]]:
    """The tests that cannot run here, by their file, and the programs that are missing."""
    if os.environ.get("GUNICORN_TEST_PROGRAMS") == "all":
        return {}
    missing = {test: [each for each in needs if not find(each)] for test, needs in NEEDED.items()}
    return {test: programs for test, programs in missing.items() if programs}
