"""One fault tried: put into a copy of the tree, and its killers run there.

The copy stands apart below build/mutants, with the compiled modules as they are built here, so that
nothing in the checkout changes; the tests find it by PYTHONPATH, before the installed package.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mutants.entry import Mutation

ROOT = Path(__file__).parents[1]

LEFT_OUT = shutil.ignore_patterns(
    ".*", "build", "dist", "__pycache__", "*.egg-info", "results", "*.c", "*.pyc"
)
KEPT = (".ci",)

PATIENCE = 600
"""Seconds for the killers of one fault. Each test has a time-out of its own, far below this."""

INTERRUPTED = 10
"""Seconds that pytest gets to clean up when that is over."""


FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
"""A test that failed, in the summary of pytest."""


class Verdict(Enum):
    """What became of a fault."""

    KILLED = "killed"
    SURVIVED = "survived"
    HUNG = "killed (its killers did not end)"
    BROKEN = "no verdict: pytest could not run the killers"


@dataclass
class Copy:
    """A copy of the tree in `folder`."""

    folder: Path
    clock: int = 0
    """Each version of a file is newer than the one before: bytecode is told apart by that."""

    @classmethod
    @contextlib.contextmanager
    def of_tree(cls) -> Iterator[Copy]:
        """A fresh copy for this process, which is removed afterwards."""
        folder = ROOT / "build" / "mutants" / str(os.getpid())
        try:
            shutil.copytree(ROOT, folder, symlinks=True, ignore=LEFT_OUT)
            for name in KEPT:
                shutil.copytree(ROOT / name, folder / name)
            yield cls(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def broken(self, mutation: Mutation) -> Iterator[None]:
        """The copy with the fault in it; `Stale` when it does not apply."""
        path = self.folder / mutation.path
        whole = path.read_text()
        try:
            self.write(path, mutation.mutated(whole))
            yield
        finally:
            self.write(path, whole)

    def write(self, path: Path, text: str) -> None:
        path.write_text(text)
        self.clock += 2
        times = (self.clock + os.stat(path).st_mtime,) * 2
        os.utime(path, times)

    def run(self, tests: list[str], *, pure: bool, every: bool = False) -> tuple[Verdict, str]:
        """Run tests; KILLED when one fails. Returns the verdict and what pytest said."""
        options = ["-q", "-p", "no:cacheprovider", "--no-header", "--tb=short", "-rfE"]
        if not every:
            options.append("-x")
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=self.folder,
            env=self.environment(pure=pure),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return Verdict.HUNG, interrupted(process)
        except BaseException:
            interrupted(process)
            raise
        if process.returncode == 0:
            return Verdict.SURVIVED, said
        # A Python that finds no pytest ends with 1, too.
        seen = process.returncode == 1 and FAILED.search(said)
        return Verdict.KILLED if seen else Verdict.BROKEN, said

    def environment(self, *, pure: bool) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "GUNICORN_PURE_PYTHON"}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        path = os.pathsep.join([str(self.folder / "src"), str(self.folder)])
        return {**kept, "PYTHONPATH": path, **({"GUNICORN_PURE_PYTHON": "1"} if pure else {})}


def interrupted(process: subprocess.Popen[str]) -> str:
    """End a run of pytest as from a terminal: fixtures end the servers that they started."""
    process.send_signal(signal.SIGINT)
    try:
        said, _ = process.communicate(timeout=INTERRUPTED)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
    return said
