"""Build the environments and the floor: `python3 -m benchmarks.install`.

Each peer is installed by itself, so that one that cannot be (no wheel and no compiler, a missing
library) costs only its own row; the reason is kept for the report. Our own package is installed
from the tree each time, for the tree changes; the rest is left alone once it is there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from . import places

PEERS = ("fastwsgi", "bjoern", "granian", "pyuwsgi", "gevent", "waitress", "cheroot")
FRAMEWORKS = ("flask", "django")
HARNESS = ("matplotlib",)
"""What the harness needs: the chart."""

PURE_BUILD = {"GUNICORN_PURE_PYTHON": "1"}
"""The build's switch that leaves the compiled module out."""

STEP_TIMEOUT = 600
"""Seconds that one installation may take."""


def main() -> int:
    """Build everything; 1 when what the harness cannot do without is missing."""
    missing = [what for what in ("cc", "wrk") if shutil.which(what) is None]
    if missing:
        print(
            f"Not found: {', '.join(missing)}. On Debian: apt-get install gcc wrk libev-dev",
            file=sys.stderr,
        )
        return 1
    places.BUILD.mkdir(exist_ok=True)
    subprocess.run(
        ["cc", "-O2", "-Wall", "-o", str(places.FLOOR), str(places.HERE / "floor.c")], check=True
    )
    failures = install_all()
    places.NOT_INSTALLED.write_text(json.dumps(failures, indent=2) + "\n")
    for what, reason in failures.items():
        print(f"  {what}: {reason}", file=sys.stderr)
    return 1 if "gunicorn" in failures else 0


def install_all() -> dict[str, str]:
    """Fill the three environments; returns what failed and why."""
    failures: dict[str, str] = {}

    def step(name: str, environment: Path, *what: str, **variables: str) -> None:
        print(f"{environment.name}: {name}", flush=True)
        reason = pip_install(environment, what or (name,), variables)
        if reason is not None:
            failures[name] = reason

    for environment in (places.MAIN, places.PURE, places.PYPI):
        make_environment(environment)
        for framework in FRAMEWORKS:
            step(framework, environment)
    for needed in HARNESS:
        step(needed, places.MAIN)
    if has_libev():
        step("bjoern", places.MAIN)
    else:
        failures["bjoern"] = "needs the headers of libev: apt-get install libev-dev"
    for peer in PEERS:
        if peer != "bjoern":
            step(peer, places.MAIN)
    step("gunicorn from PyPI", places.PYPI, "gunicorn", "gevent", "packaging")
    with tempfile.TemporaryDirectory() as directory:
        tree = copy_of_tree(Path(directory))
        step("gunicorn", places.MAIN, *from_tree(tree))
        # Again from a clean copy: a module that the first build left behind must not slip in.
        shutil.rmtree(tree)
        tree = copy_of_tree(Path(directory))
        step("gunicorn without its compiled module", places.PURE, *from_tree(tree), **PURE_BUILD)
    return failures


def make_environment(environment: Path) -> None:
    """Make a virtual environment unless there is one of this very Python."""
    version = places.BUILD / f"python-of-{environment.name.lstrip('.')}"
    if places.python_of(environment).exists() and version.exists():
        if version.read_text() == sys.version:
            return
        shutil.rmtree(environment)
    venv.create(environment, with_pip=True, clear=True)
    version.write_text(sys.version)


def pip_install(environment: Path, what: Sequence[str], variables: dict[str, str]) -> str | None:
    """Install with pip; None, or the last thing pip said when it failed."""
    command = [str(places.python_of(environment)), "-m", "pip", "install", "--quiet", *what]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=STEP_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not installed: pip took longer than {STEP_TIMEOUT} s"
    if done.returncode == 0:
        return None
    log = places.BUILD / f"pip-{environment.name.lstrip('.')}-{Path(what[-1]).name}.log"
    log.write_text(done.stdout + done.stderr)
    lines = [line.strip() for line in done.stderr.splitlines() if "error" in line.lower()]
    said = lines[-1] if lines else f"pip ended with {done.returncode}"
    return f"not installed: {said} ({log.relative_to(places.ROOT)})"


def from_tree(tree: Path) -> tuple[str, ...]:
    """What pip is told to install this package anew, whatever version is there already."""
    return ("--force-reinstall", "--no-deps", "--no-cache-dir", str(tree))


def copy_of_tree(directory: Path) -> Path:
    """A copy of what the package is built from, so that a build leaves nothing in the tree."""
    tree = directory / "gunicorn"
    shutil.copytree(
        places.ROOT,
        tree,
        ignore=shutil.ignore_patterns(
            ".*", "benchmarks", "tests", "build", "dist", "*.so", "*.c", "*.egg-info", "__pycache__"
        ),
    )
    return tree


def has_libev() -> bool:
    """Whether the C compiler finds the headers that bjoern is built with."""
    probe = subprocess.run(
        ["cc", "-E", "-x", "c", "-"],
        input="#include <ev.h>\n",
        text=True,
        capture_output=True,
        check=False,
    )
    return probe.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
