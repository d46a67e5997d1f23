"""make leaves alone what it has not made, an environment of the user's above all.

The real Makefile with a Python that makes environments and installs nothing into them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.places import ROOT

PYTHON = """\
#!/bin/sh
# Stands for python3 and for every command of an environment.
if [ "$1 $2" = "-m venv" ]; then
    mkdir -p "$3/bin"
    for name in python pip gunicorn pytest ruff mypy lint-imports; do
        cp "$0" "$3/bin/$name"
    done
    echo made >> environments
fi
"""

OWN = (
    ".venv/bin/python", "venv/bin/python", "env/pyvenv.cfg", "fuzz/.venv/bin/python",
    "benchmarks/.venv/bin/python", "dist/mine.whl", "build/mine",
)  # fmt: skip
"""What is the user's own."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("examples/demo", "docs", "fuzz", "benchmarks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    for name in OWN:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("the user's own")
    return tmp_path


def make(checkout: Path, *targets: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", f"PYTHON={checkout}/python", *targets],
        cwd=checkout,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def environments(checkout: Path) -> int:
    """How many have been made."""
    return (checkout / "environments").read_text().count("made")


def assert_nothing_is_lost(checkout: Path) -> None:
    for name in OWN:
        assert (checkout / name).read_text() == "the user's own", name


@pytest.mark.parametrize(
    "target",
    ["demo", "test", "test-python", "lint", "docs", "fuzz", "asan", "bench", "bench-balance"],
)
def test_what_is_the_users_own_stays(checkout: Path, target: str) -> None:
    if target.startswith("bench"):  # whose environments benchmarks.install makes
        (checkout / "benchmarks/.build/venv/bin").mkdir(parents=True)
        shutil.copy(checkout / "python", checkout / "benchmarks/.build/venv/bin/python")
    make(checkout, target)
    os.utime(checkout / "pyproject.toml")
    make(checkout, target)
    make(checkout, "clean")
    assert_nothing_is_lost(checkout)


def test_the_environment_is_made_once_and_anew_when_its_packages_change(checkout: Path) -> None:
    make(checkout, "demo")
    make(checkout, "test")
    assert environments(checkout) == 1
    (checkout / "build/venv/old").touch()
    later = (checkout / "build/venv/.installed").stat().st_mtime + 1
    os.utime(checkout / "pyproject.toml", (later, later))
    make(checkout, "demo")
    assert environments(checkout) == 2
    assert not (checkout / "build/venv/old").exists()
    make(checkout, "clean")
    assert not (checkout / "build/venv").exists()


def test_the_benchmarks_keep_to_their_own_folder() -> None:
    from benchmarks import places

    for folder in (places.MAIN, places.PURE, places.PYPI):
        assert folder.parent == places.BUILD == ROOT / "benchmarks" / ".build"
