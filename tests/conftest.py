"""Before the first test: bytecode is written, and what cannot run here is left out.

The servers under test write no bytecode (an application that is edited twice within a second would
be taken from an outdated file), so without it each of them would compile the whole package anew.

After the last: the end of the report says what was left out.
"""

from __future__ import annotations

import compileall
from pathlib import Path

import pytest

import gunicorn
from tests.programs import left_out

HERE = Path(__file__).parent

LEFT_OUT = left_out()

collect_ignore = [name for name in LEFT_OUT if "::" not in name]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "matrix: a deployment of all pairs; see tests/matrix")
    if not hasattr(config, "workerinput"):  # set where pytest-xdist runs a part of the tests
        compileall.compile_dir(Path(gunicorn.__file__).parent, quiet=1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    out = [item for item in items if name_of(item) in LEFT_OUT]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if name_of(item) not in LEFT_OUT]


def name_of(item: pytest.Item) -> str:
    """As tests.programs names it: its file below tests/, and its function."""
    function = getattr(item, "originalname", item.name)
    return f"{item.path.relative_to(HERE)}::{function}" if item.path.is_relative_to(HERE) else ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, needs in LEFT_OUT.items():
        terminalreporter.write_line(f"tests/{name} was left out: without {' and '.join(needs)}")
