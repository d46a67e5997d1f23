"""What the hostile tests share: an attack under way, and a client that only wants service."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.wire import Truncated, wire
from tests.servers import Server, until

APP = """\
import os

def big():
    for _ in range(48):
        yield os.urandom(65536)

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return big() if environ["PATH_INFO"] == "/big" else [b"%d" % len(body)]
"""
"""`/big` is 3 MiB that nobody else holds; all else answers at once."""

ROOT = Path(__file__).parents[2]


@dataclass
class Attack:
    """Hostile clients that are all connected; `fates` says what became of them, at the end."""

    process: subprocess.Popen[str]
    fates: dict[str, int] = field(default_factory=dict)

    def end(self) -> dict[str, int]:
        """Let the clients go and return their fates."""
        if not self.fates:
            out, _ = self.process.communicate("", timeout=60)
            self.fates = json.loads(out)
        return self.fates


@contextlib.contextmanager
def attack(server: Server, *kinds: str) -> Iterator[Attack]:
    """Attack `server` with clients (`KIND=COUNT`)."""
    raise_limit()
    command = [sys.executable, "-m", "tests.hostile.attack", str(server.port), *kinds]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Attack(process)
    finally:
        process.kill()
        process.communicate()


def raise_limit() -> int:
    """Allow this process, and those that it starts, as many files as it may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@dataclass(frozen=True)
class Service:
    """What a fast client got."""

    requests: int
    failures: int
    median: float
    """Seconds."""
    worst: float

    def __str__(self) -> str:
        return (
            f"{self.requests} requests, {self.failures} failed,"
            f" median {self.median * 1e3:.2f} ms, worst {self.worst * 1e3:.0f} ms"
        )


def fast_requests(server: Server, count: int) -> Service:
    """Requests of a client that is quick: half on connections of their own, half on a kept one."""
    times: list[float] = []
    failures = 0
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(wire(server))
        for number in range(count):
            began = time.monotonic()
            try:
                if number % 2:
                    try:
                        status = kept.get("/fast").status
                    except (OSError, Truncated):
                        # A server may close an idle connection, and then clients try again.
                        kept = stack.enter_context(wire(server))
                        status = kept.get("/fast").status
                else:
                    status = server.get("/fast").status
            except (OSError, Truncated):
                status = 0
            times.append(time.monotonic() - began)
            failures += status != 200
    return Service(count, failures, statistics.median(times), max(times))


def memory(server: Server) -> int:
    """Resident bytes of the workers together."""
    total = 0
    for pid in server.workers():
        status = Path(f"/proc/{pid}/status").read_text()
        total += 1024 * int(status.split("VmRSS:")[1].split()[0])
    return total


def cpu_seconds(server: Server) -> float:
    """Processor time that the workers have used."""
    ticks = 0
    for pid in server.workers():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def settles(server: Server, bound: float, seconds: float = 20.0) -> int:
    """Wait until the workers' memory is below `bound`; returns it."""
    until(lambda: memory(server) <= bound, f"less than {bound / 2**20:.0f} MiB", seconds)
    return memory(server)
