"""What /proc says of the processes that run."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stat:
    """What /proc/PID/stat says of a process."""

    pid: int
    state: str
    ppid: int
    session: int


def processes() -> Iterator[Stat]:
    """Every process that is not a zombie."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (process := stat(int(name))) is not None:
            yield process


def stat(pid: int) -> Stat | None:
    """The process `pid`; None when there is none, or a zombie."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else Stat(pid, fields[0], int(fields[1]), int(fields[3]))


def alive(pid: int) -> bool:
    """Whether `pid` is a process that runs (a zombie does not)."""
    return stat(pid) is not None


def kill_family(pid: int) -> None:
    """Kill the process `pid` and its children, as far as they are there."""
    for process in processes():
        if pid in {process.pid, process.ppid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def open_files(pid: int) -> set[str]:
    """The paths of what a process has open (realpath: a descriptor may be closed meanwhile)."""
    folder = f"/proc/{pid}/fd"
    return {os.path.realpath(f"{folder}/{fd}") for fd in os.listdir(folder)}
