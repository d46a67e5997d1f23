"""Everything that brings servers down, at once, and a probe whose every request is answered.

    python -m tests.faults.storm gevent --seconds 20 children kills

runs one or some of the faults by hand; `test_storm` runs all. `attackers` are clients that do harm,
in processes of their own, `storm_app` does what applications do, and here is what operators do:
reload, reopen logs, kill workers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.attackers import DEADLINE, KINDS
from tests.faults.load import LATE, Failure, Load
from tests.servers import Server

APP = Path(__file__).with_name("storm_app.py")

CLASSES: dict[str, tuple[str, ...]] = {
    "sync": (),
    "gthread": ("-k", "gthread", "--threads", "4"),
    "gevent": ("-k", "gevent"),
}

WORKERS = 3

EVERY = {"reloads": 2.5, "reopenings": 0.6, "kills": 4.0}
"""Seconds between two deeds of the operator."""

FAULTS = (*KINDS, *EVERY)

EXPECTED_ERRORS = (
    r"Error handling request GET /(raise|late|child)/",
    r"Process \d+, which the application has forked from [^,]*, has failed",
    r"was sent SIGKILL",
    # When it is that one which is killed.
    r"failed to boot \(SIGKILL\)",
    r"Reload called off: worker \d+ of the new generation failed to boot",
)
"""Lines at level error that are no fault of the server."""


@dataclass
class Report:
    """What came of a storm."""

    load: Load
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    """Of each fault, how often it had which outcome."""
    deeds: dict[str, list[float]] = field(default_factory=dict)
    """When the operator did what (monotonic seconds)."""

    @property
    def failed(self) -> list[Failure]:
        """Requests of the probe that got no answer, but for those of a worker that was killed."""
        return [each for each in self.load.failures if not self.excused(each.when, each.until)]

    @property
    def late(self) -> list[tuple[float, float]]:
        """Those that took LATE longer than the slowest on the calm server: when, and how long.

        Where the machine let the probe itself wait in that time, by so much more.
        """
        load = self.load
        return [
            (began, took)
            for began, took in load.seconds
            if began >= load.mark and took > load.usual + LATE + load.stalled(began, began + took)
        ]

    @property
    def wrong(self) -> dict[str, int]:
        """What attackers got that they should not have got."""
        return {
            f"{name}: {outcome}": count
            for name, counts in self.counts.items()
            for outcome, count in counts.items()
            if outcome.startswith("wrong")
        }

    def excused(self, began: float, ended: float) -> bool:
        """Whether a worker was killed meanwhile."""
        return any(began <= when <= ended for when in self.deeds.get("kills", ()))

    def show(self, name: str) -> None:
        """Print the counts."""
        self.load.report(f"storm on {name}")
        print(f"    {len(self.failed)} failed without a kill, {len(self.late)} late:")
        for began, took in self.late[:20]:
            since = {
                deed: round(
                    began + took - max((t for t in times if t < began + took), default=0), 2
                )
                for deed, times in self.deeds.items()
            }
            print(f"        at {began:.2f} for {took:.2f} s, ended after the last of {since}")
        for fault, counts in self.counts.items():
            print(f"    {fault}:", ", ".join(f"{n} {what}" for what, n in counts.most_common(9)))


def storm(server: Server, faults: Sequence[str], seconds: float) -> Report:
    """Have all of `faults` for so long, after a moment of calm."""
    server.wait_serving(WORKERS)
    with Load(server, fresh=1, kept=1) as load:
        load.settle(3.0)
        report = Report(load)
        over = threading.Event()
        operators = [
            threading.Thread(target=operate, args=(server, name, report, over))
            for name in faults
            if name in EVERY
        ]
        attackers = {
            name: subprocess.Popen(
                [sys.executable, "-m", "tests.faults.attackers", str(server.port), name],
                cwd=APP.parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )
            for name in faults if name in KINDS
        }  # fmt: skip
        try:
            for thread in operators:
                thread.start()
            load.go_on(seconds)
        finally:
            over.set()
            for thread in operators:
                thread.join()
            for name, process in attackers.items():
                said, _ = process.communicate(timeout=2 * DEADLINE)
                report.counts[name] = Counter(json.loads(said))
    return report


def operate(server: Server, name: str, report: Report, over: threading.Event) -> None:
    """Do the same to the server again and again."""
    deed: Callable[[], str] = {
        "reloads": lambda: send(server, signal.SIGHUP),
        "reopenings": lambda: send(server, signal.SIGUSR1),
        "kills": lambda: kill(server),
    }[name]
    counts = report.counts.setdefault(name, Counter())
    times = report.deeds.setdefault(name, [])
    while not over.wait(EVERY[name]):
        times.append(time.monotonic())
        counts[deed()] += 1


def send(server: Server, signum: int) -> str:
    server.send_signal(signum)
    return "sent"


def kill(server: Server) -> str:
    """Kill a worker, unless few are there just now."""
    workers = server.workers()
    if len(workers) < WORKERS:
        return "not killed"
    with contextlib.suppress(ProcessLookupError):
        os.kill(random.choice(workers), signal.SIGKILL)
    return "killed"


def unexpected(log: str) -> list[str]:
    """Lines of the log at level error and above that are the server's own fault."""
    lines = re.findall(r"^.*\[(?:ERROR|CRITICAL)\].*$", log, re.MULTILINE)
    return [line for line in lines if not any(re.search(each, line) for each in EXPECTED_ERRORS)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("worker_class", choices=CLASSES)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--seconds", type=float, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = serving(chosen.worker_class, Path(folder))
        try:
            report = storm(server, chosen.faults or FAULTS, chosen.seconds)
            report.show(chosen.worker_class)
            print("wrong:", report.wrong)
            print("exit code:", server.stop(timeout=60))
        finally:
            print("left over:", server.clean_up())
            print("\n".join(unexpected(server.log())[:20]))
            kept = Path(tempfile.gettempdir(), f"storm-{chosen.worker_class}.log")
            kept.write_text(server.log())
            print("its log:", kept)


def serving(worker_class: str, folder: Path) -> Server:
    """A server for a storm."""
    files = {"app.py": APP.read_text()}
    return Server(
        "app:app", "--workers", str(WORKERS), *CLASSES[worker_class], cwd=folder, files=files
    )


if __name__ == "__main__":
    main()
