"""`make test` runs both of its passes, and its end names whatever failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import NEEDED

pytestmark = pytest.mark.timeout(180)  # each starts pytest a few times

ROOT = Path(__file__).parents[1]

TESTS = """\
import pytest

def test_good():
    pass

def test_bad():
    assert 1 == 2, "first reason"

@pytest.fixture
def fixture():
    yield
    raise RuntimeError("third reason")

@pytest.mark.alone
def test_bad_alone():
    assert 3 == 4, "second reason"

@pytest.mark.alone
def test_bad_end(fixture):
    pass
"""


def passes(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = alone\n")
    command = [sys.executable, "-m", "tests.passes", "2", "-c", str(folder / "pytest.ini")]
    command += ["--rootdir", str(folder), "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_both_passes_run_and_each_failure_is_named_at_the_end(tmp_path: Path) -> None:
    done = passes(tmp_path, TESTS)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-4:] == [
        "3 failures in both passes",
        "at once: FAILED test_it.py::test_bad - AssertionError: first reason",
        "alone: FAILED test_it.py::test_bad_alone - AssertionError: second reason",
        "alone: ERROR test_it.py::test_bad_end (teardown) - RuntimeError: third reason",
    ]


def test_a_file_that_cannot_be_imported_is_named_too(tmp_path: Path) -> None:
    done = passes(tmp_path, "import nothing_of_the_sort\n")
    assert done.returncode == 1
    end = done.stdout.splitlines()[-3:]
    assert end[0] == "2 failures in both passes"
    for line, name in zip(end[1:], ("at once", "alone"), strict=True):
        assert line.startswith(f"{name}: ERROR test_it.py (collect) - ImportError while importing")


def test_green_is_green_with_nothing_to_run_alone(tmp_path: Path) -> None:
    done = passes(tmp_path, "def test_good(): pass\n")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Both passes are green.")


def test_what_may_be_left_out_is_there() -> None:
    for name in NEEDED:
        file, _, function = name.partition("::")
        assert f"def {function or 'test_'}" in (ROOT / "tests" / file).read_text(), name


def test_without_what_a_test_needs_it_is_left_out_and_the_end_says_so() -> None:
    """And where all is wanted, it is not."""
    file = "tests/deploy/test_systemd_units.py"
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", file]
    for wanted, out in (("", True), ("all", False)):
        environ = {"PATH": "/nowhere", "GUNICORN_TEST_PROGRAMS": wanted}
        said = subprocess.run(
            command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True
        ).stdout
        line = f"{file}::test_systemd_finds_nothing_wrong was left out: without systemd-analyze"
        assert (line in said) == out
        assert ("1 deselected" in said) == out
