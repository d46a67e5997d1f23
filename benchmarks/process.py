"""A server as a group of processes: started on one core, accounted for, and ended as a whole.

The time of a server is that of every process in it, wherever its work is done: the supervisor as
much as the workers. A process belongs when it is in the process group of the one started, or
descends from it (a server may give its workers a group of their own).
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
POLL = 0.02
"""Seconds between two looks at a condition."""


class ProcessError(Exception):
    """A server did not start, or a process of it came or went while it was measured."""


@dataclass(frozen=True)
class Stat:
    """What the accounting needs of /proc/PID/stat."""

    pid: int
    state: str
    parent: int
    group: int
    ticks: int
    """User and system time of all its threads, in ticks of SC_CLK_TCK a second."""


def parse_stat(line: str) -> Stat:
    """Read one line of /proc/PID/stat (proc(5)); the name in parentheses may hold anything."""
    pid, rest = line.split(" ", 1)
    fields = rest[rest.rindex(")") + 2 :].split()
    return Stat(
        pid=int(pid),
        state=fields[0],
        parent=int(fields[1]),
        group=int(fields[2]),
        ticks=int(fields[11]) + int(fields[12]),
    )


def all_stats() -> list[Stat]:
    """Every process of the machine that is not a zombie."""
    stats = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                stats.append(parse_stat(Path("/proc", entry, "stat").read_text(errors="replace")))
    return [stat for stat in stats if stat.state != "Z"]


def members(leader: int, stats: Sequence[Stat]) -> list[Stat]:
    """Those of `stats` that are in the group of `leader` or descend from one that is."""
    inside = {stat.pid for stat in stats if leader in (stat.pid, stat.group)}
    grown = True
    while grown:
        more = {stat.pid for stat in stats if stat.parent in inside} - inside
        inside |= more
        grown = bool(more)
    return [stat for stat in stats if stat.pid in inside]


@dataclass(frozen=True)
class Usage:
    """The CPU time that each process of a server has used so far."""

    ticks: Mapping[int, int]
    """pid -> ticks."""

    def since(self, before: Usage) -> float:
        """Seconds of CPU time from `before` to this; ProcessError when the processes changed."""
        gone, come = (
            before.ticks.keys() - self.ticks.keys(),
            self.ticks.keys() - before.ticks.keys(),
        )
        if gone or come:
            raise ProcessError(
                f"processes changed while it was measured: {len(gone)} gone, {len(come)} new"
            )
        return (sum(self.ticks.values()) - sum(before.ticks.values())) / TICKS


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started within runs on this core, and so does this process meanwhile."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class ServerProcess:
    """A running server; ends with the context, and everything that it started with it.

    with ServerProcess(command, variables, directory, core) as server: ...
    """

    def __init__(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        directory: Path,
        core: int | None = None,
    ) -> None:
        """Start `command` in `directory`, where its output goes to output.log.

        `core` is where it runs; None for wherever it likes.
        """
        self.log = directory / "output.log"
        with self.log.open("wb") as log, on_core(core):
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **variables},
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> ServerProcess:
        """The server itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """End it."""
        self.stop()

    def stats(self) -> list[Stat]:
        """The processes of this server."""
        return members(self.process.pid, all_stats())

    def usage(self) -> Usage:
        """CPU time used so far."""
        return Usage({stat.pid: stat.ticks for stat in self.stats()})

    def memory(self, field: str) -> int:
        """Bytes of memory over all processes: VmRSS now, or VmHWM at the peak of each (proc(5))."""
        total = 0
        for stat in self.stats():
            status = Path("/proc", str(stat.pid), "status").read_text()
            found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
            if found is None:
                raise ProcessError(f"no {field} in the status of process {stat.pid}")
            total += int(found[1]) * 1024
        return total

    def last_words(self) -> str:
        """The last line of its output that says something."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line), "it printed nothing")

    def stop(self, patience: float = 5.0) -> None:
        """SIGTERM to the supervisor, then SIGKILL to what is left after `patience` seconds."""
        pids = {stat.pid for stat in self.stats()}
        self.process.terminate()
        deadline = time.monotonic() + patience
        while self.alive(pids) and time.monotonic() < deadline:
            time.sleep(POLL)
        for pid in self.alive(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(patience)

    def alive(self, pids: set[int]) -> set[int]:
        """Those of `pids` that still run; reaps the supervisor."""
        self.process.poll()
        return pids & {stat.pid for stat in all_stats()}
