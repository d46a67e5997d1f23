"""Before the first test: bytecode is written, and what cannot run here is left out.

The servers under test write no bytecode (an application that is edited twice within a second would
be taken from an outdated file), so without it each of them would compile the whole package anew.
"""

from __future__ import annotations

import compileall
from pathlib import Path

import pytest

import gunicorn
from tests.programs import left_out

LEFT_OUT = left_out()

collect_ignore = list(LEFT_OUT)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # set where pytest-xdist runs a part of the tests
        compileall.compile_dir(Path(gunicorn.__file__).parent, quiet=1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, programs in LEFT_OUT.items():
        terminalreporter.write_line(
            f"tests/{name} was left out: {' and '.join(programs)} not installed"
        )
