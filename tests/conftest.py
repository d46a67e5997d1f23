"""Before the first test: the bytecode of the package is written.

The servers under test write none (an application that is edited twice within a second would be
taken from an outdated file), and without it each of them would compile the whole package anew.
"""

from __future__ import annotations

import compileall
from pathlib import Path

import pytest

import gunicorn


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # set where pytest-xdist runs a part of the tests
        compileall.compile_dir(Path(gunicorn.__file__).parent, quiet=1)
