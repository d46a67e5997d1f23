"""`make test`: every test, in two passes of pytest, and at the end a list of all that failed.

    python -m tests.passes PROCESSES [ARGUMENTS OF PYTEST]

The first pass runs PROCESSES tests at a time, the second, one by one, those that are marked
`alone`. The second runs, too, when the first has failed, so that one run tells everything. The exit
code is 0 when both passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

NOTES = "GUNICORN_TEST_FAILURES"
"""The variable of the environment that names the file for what failed in a pass."""

NO_TESTS = 5
"""pytest's exit code where nothing was to be run: no failure of a pass."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """As a plugin of a pass: write down what failed, for the end of all passes."""
    if hasattr(terminalreporter.config, "workerinput"):
        return  # a part of a pass, whose whole reports for it
    with Path(os.environ[NOTES]).open("a") as file:
        for outcome in ("failed", "error"):
            for report in terminalreporter.getreports(outcome):
                file.write(line_about(outcome, report) + "\n")


def line_about(outcome: str, report: pytest.TestReport | pytest.CollectReport) -> str:
    """One line: what failed, when, and the first line of why."""
    when = getattr(report, "when", None) or "collect"
    where = report.nodeid if when == "call" else f"{report.nodeid} ({when})"
    crash = getattr(report.longrepr, "reprcrash", None)
    reason = str(crash.message if crash else report.longrepr or "").strip().partition("\n")[0]
    return f"{outcome.upper()} {where} - {reason}"


def run(arguments: list[str], name: str, notes: Path) -> list[str]:
    """One pass; returns a line for each failure."""
    notes.write_text("")
    command = [sys.executable, "-m", "pytest", "-p", "tests.passes", *arguments]
    done = subprocess.run(command, env={**os.environ, NOTES: str(notes)}, check=False)
    failures = notes.read_text().splitlines()
    if done.returncode not in {0, NO_TESTS} and not failures:
        failures = [f"pytest ended with {done.returncode}"]
    return [f"{name}: {failure}" for failure in failures]


def main(processes: str, *arguments: str) -> int:
    """Both passes; returns the exit code."""
    at_once = ["-m", "not alone", "-n", processes, "--dist", "worksteal", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "failures")
        failures = run(at_once, "at once", notes)
        failures += run(["-m", "alone", *arguments], "alone", notes)
    end = f"{len(failures)} failures in both passes" if failures else "Both passes are green."
    print("", end, *failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
