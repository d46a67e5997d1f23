"""Run a scenario: every server started once, then rounds in which each takes its turn.

The server has one core to itself and wrk another. The figure that counts is the CPU time of the
server for a request: it hardly depends on what else the machine does, as requests a second do.
Turns are interleaved, so that what drifts (clock speed, temperature, neighbours) hits all alike,
and the median over the rounds is taken.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import places, wrk
from .process import POLL, ProcessError, ServerProcess
from .scenarios import Scenario
from .servers import Server

START_TIMEOUT = 20.0
"""Seconds in which a server must answer its first request."""
SETTLE_TIMEOUT = 3.0
"""Seconds that a server may take to finish what it was doing when wrk left."""

FAILURES = (wrk.WrkError, ProcessError, OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Cores:
    """Where the server and where the load run."""

    server: int
    load: int


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int
    duration: float
    """Seconds of load in a turn."""
    warm_up: float
    """Seconds of load before the first."""


@dataclass(frozen=True)
class Run:
    """One turn of one server."""

    load: wrk.Load
    cpu_seconds: float
    requests: float
    """Requests served; a fraction where the bytes of unfinished responses are known."""

    @property
    def cpu(self) -> float:
        """Microseconds of CPU time for a request."""
        return self.cpu_seconds / self.requests * 1e6

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.load.seconds


@dataclass
class Cell:
    """What one server did in one scenario."""

    runs: list[Run] = field(default_factory=list)
    failure: str | None = None
    """Why there is no figure."""

    def median(self, figure: Callable[[Run], float]) -> float | None:
        """The median of a figure over the rounds; None when the cell failed."""
        if self.failure is not None or not self.runs:
            return None
        return statistics.median(figure(run) for run in self.runs)

    @property
    def cpu(self) -> float | None:
        """Microseconds of CPU time for a request."""
        return self.median(lambda run: run.cpu)

    @property
    def rate(self) -> float | None:
        """Requests a second."""
        return self.median(lambda run: run.rate)

    def fail(self, reason: str) -> None:
        """Keep the first reason."""
        self.failure = self.failure or reason


def run_scenario(
    scenario: Scenario,
    servers: Sequence[Server],
    effort: Effort,
    cores: Cores,
    directory: Path,
    missing: Mapping[str, str],
) -> dict[str, Cell]:
    """Measure one scenario; a server that fails keeps its row and says why."""
    cells = {server.key: Cell() for server in servers}
    with contextlib.ExitStack() as stack:
        started: list[tuple[Server, ServerProcess, str]] = []
        for server in servers:
            try:
                process, url = stack.enter_context(
                    running(server, scenario.app, cores, directory, missing)
                )
                check(scenario, process, url)
                wrk.run(
                    url + scenario.path,
                    scenario.connections,
                    effort.warm_up,
                    scenario.script,
                    cores.load,
                )
                settle(process)
            except FAILURES as error:
                cells[server.key].fail(str(error) or type(error).__name__)
            else:
                started.append((server, process, url))
        for _ in range(effort.rounds):
            for server, process, url in started:
                cell = cells[server.key]
                if cell.failure is None:
                    take_turn(cell, scenario, process, url, effort, cores)
    return cells


def take_turn(
    cell: Cell,
    scenario: Scenario,
    process: ServerProcess,
    url: str,
    effort: Effort,
    cores: Cores,
) -> None:
    """One run of wrk against one server, into its cell."""
    try:
        before = process.usage()
        load = wrk.run(
            url + scenario.path,
            scenario.connections,
            effort.duration,
            scenario.script,
            cores.load,
        )
        cpu_seconds = process.usage().since(before)
        if load.errors:
            cell.fail(f"{load.errors} errors")
        elif not load.requests:
            cell.fail("no request was answered")
        else:
            cell.runs.append(Run(load, cpu_seconds, served(scenario, load)))
        settle(process)
    except FAILURES as error:
        cell.fail(str(error) or type(error).__name__)


def served(scenario: Scenario, load: wrk.Load) -> float:
    """How many requests a run served.

    Where responses are large, those under way when wrk stops are much of the work, so that the
    bytes are counted and not the responses that were complete.
    """
    if scenario.response >= 1 << 20:
        return load.bytes_read / scenario.response
    return float(load.requests)


@contextlib.contextmanager
def running(
    server: Server,
    app: str,
    cores: Cores,
    directory: Path,
    missing: Mapping[str, str],
) -> Iterator[tuple[ServerProcess, str]]:
    """Start a server with an application of apps/; gives it and its URL, without a path."""
    reason = missing.get(server.install_step or server.distribution or "")
    if reason is not None:
        raise ProcessError(reason)
    port = free_port()
    # The same port may come twice in a run.
    home = Path(tempfile.mkdtemp(prefix=f"{server.key}-", dir=directory))
    command = server.argv(app, port)
    if not os.path.exists(command[0]):
        raise ProcessError(f"not installed: no {os.path.relpath(command[0], places.ROOT)}")
    variables = {
        "PYTHONPATH": str(places.APPS),
        "BENCH_FILES": str(directory),
        # What the user has set there is not for us.
        "GUNICORN_CMD_ARGS": "",
    }
    with ServerProcess(command, variables, home, cores.server) as process:
        yield process, f"http://127.0.0.1:{port}"


def check(scenario: Scenario, process: ServerProcess, url: str) -> None:
    """Wait for the first answer and see that it is the right one; ProcessError when not."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        if process.process.poll() is not None:
            raise ProcessError(f"does not start: {process.last_words()}")
        try:
            status, length = ask(scenario, url)
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"no answer within {START_TIMEOUT:.0f} s ({error}): {process.last_words()}"
                ) from error
            time.sleep(POLL)
            continue
        if (status, length) != (200, scenario.response):
            raise ProcessError(
                f"answers {status} with {length} bytes, not 200 with {scenario.response}: "
                f"{process.last_words()}"
            )
        return


def ask(scenario: Scenario, url: str) -> tuple[int, int]:
    """One request; its status and the length of the response body."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=START_TIMEOUT)
    with contextlib.closing(connection):
        if scenario.upload:
            connection.request("POST", scenario.path, body=b"x" * scenario.upload)
        else:
            connection.request("GET", scenario.path)
        response = connection.getresponse()
        return response.status, len(response.read())


def settle(process: ServerProcess) -> None:
    """Wait until a server rests, so that it leaves the core to the next."""
    deadline = time.monotonic() + SETTLE_TIMEOUT
    last = process.usage()
    while time.monotonic() < deadline:
        time.sleep(2 * POLL)
        now = process.usage()
        if now.ticks == last.ticks:
            break
        last = now


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
