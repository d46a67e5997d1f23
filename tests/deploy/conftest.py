"""Which tests of this folder can run: some need programs of the system's packages.

A machine with Python and make alone runs the others, and the end of the report says what was left
out. With GUNICORN_TEST_PROGRAMS=all in the environment, as CI has it, nothing is left out.
"""

from __future__ import annotations

import os

import pytest

from tests.deploy.places import program

NEEDED = {"test_nginx.py": ("nginx",), "test_load.py": ("wrk", "ab")}
MISSING = {
    name: [one for one in programs if program(one) is None]
    for name, programs in NEEDED.items()
    if os.environ.get("GUNICORN_TEST_PROGRAMS") != "all"
}

collect_ignore = [name for name, programs in MISSING.items() if programs]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, programs in MISSING.items():
        if programs:
            terminalreporter.write_line(
                f"tests/deploy/{name} was left out: {' and '.join(programs)} not installed"
            )
