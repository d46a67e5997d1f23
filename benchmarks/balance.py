"""Kept connections and slow requests: how long a request waits though a server is free.

    python -m benchmarks.balance [--seconds N] [--only KEY ...]

The table goes to balance.md in benchmarks/results when everything is measured at full length, and
otherwise to benchmarks/.build/quick-results.

Requests arrive at random times (Poisson), whatever becomes of those before them, on 64 connections
that are kept. Most take 5 ms, one in twenty 200 ms, all of it asleep, so the CPU does not matter;
four of them are served at a time, and on the average 60% of that is in use. The latency counts
from the time of the arrival. What no server can beat is one queue in front of four servers: it is
worked out for the same arrivals, and every server is held against it.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import random
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import machine, places, report

CONNECTIONS = 64
SERVERS = 4
UTILISATION = 0.6
QUICK, SLOW, SLOW_SHARE = 0.005, 0.2, 0.05
FULL_LENGTH = 45.0
"""Seconds of load for each server; in much less the slowest hundredth is a matter of luck."""
MEAN = QUICK * (1 - SLOW_SHARE) + SLOW * SLOW_SHARE
P99_BAR, P90_BAR = 1.10, 1.25
"""What our own servers may take of the ideal's latency."""

APP = """\
import time

def app(environ, start_response):
    time.sleep(float(environ["PATH_INFO"][1:]))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
"""


@dataclass(frozen=True)
class Arrival:
    """A request: when it comes, in seconds from the start, and what it takes."""

    at: float
    service: float


@dataclass(frozen=True)
class Contender:
    """A way of serving four requests at a time. {port} is filled in."""

    key: str
    title: str
    distribution: str
    environment: Path
    command: tuple[str, ...]
    ours: bool = False

    @property
    def name(self) -> str:
        """The title, with the version that is installed."""
        version = machine.version_of(self.environment, self.distribution)
        return f"{self.title} ({version})" if version else self.title


@dataclass(frozen=True)
class Outcome:
    """What became of the requests to one server."""

    latencies: tuple[float, float, float]
    """p50, p90 and p99 in milliseconds."""
    failed: int
    reconnected: int
    """Connections that the server closed."""


def gunicorn(environment: Path, workers: int, threads: int, *more: str) -> tuple[str, ...]:
    """The command of ours and of PyPI's."""
    return (
        *(str(environment / "bin" / "gunicorn"), "--bind", "127.0.0.1:{port}"),
        *("--workers", str(workers), "--threads", str(threads), "--keep-alive", "60"),
        *("--log-level", "warning", "--backlog", "2048", *more, "app:app"),
    )


def contenders(main: Path, field: Path, pypi: Path) -> list[Contender]:
    """Every row of the table; the arguments are virtual environments."""
    only = "--no-control-socket"
    gthread = ("--worker-class", "gthread")

    def ours(key: str, title: str, workers: int, threads: int) -> Contender:
        command = gunicorn(main, workers, threads)
        return Contender(key, f"gunicorn, this tree, {title}", "gunicorn", main, command, True)

    def theirs(key: str, title: str, workers: int, threads: int, *more: str) -> Contender:
        command = gunicorn(pypi, workers, threads, only, *more)
        return Contender(key, f"Gunicorn from PyPI, {title}", "gunicorn", pypi, command)

    return [
        ours("sync-4x1", "4 sync", 4, 1),
        ours("1x4", "1 with 4 threads", 1, 4),
        ours("2x2", "2 with 2 threads", 2, 2),
        theirs("pypi-sync", "4 sync", 4, 1),
        theirs("pypi-4x1", "4 gthread with 1 thread", 4, 1, *gthread),
        theirs("pypi-1x4", "1 with 4 threads", 1, 4),
        theirs("pypi-2x2", "2 with 2 threads", 2, 2),
        Contender(
            "granian",
            "Granian, 4 workers",
            "granian",
            field,
            (
                *(str(field / "bin" / "granian"), "--interface", "wsgi", "--http", "1"),
                *("--workers", "4", "--blocking-threads", "1", "--runtime-threads", "1"),
                *("--no-ws", "--no-access-log", "--log-level", "warning", "--backlog", "2048"),
                *("--host", "127.0.0.1", "--port", "{port}", "app:app"),
            ),
        ),
        Contender(
            "uwsgi",
            "uWSGI, 4 processes, which close after each request",
            "pyuwsgi",
            field,
            (
                *(str(field / "bin" / "pyuwsgi"), "--http-socket", "127.0.0.1:{port}"),
                *("--add-header", "Connection: close", "--module", "app:app"),
                *("--processes", "4", "--listen", "1024", "--disable-logging"),
                *("--die-on-term", "--need-app"),
            ),
        ),
    ]


def arrivals(seconds: float, seed: int) -> list[Arrival]:
    """Poisson arrivals, the same for the same `seed`."""
    chance = random.Random(seed)  # noqa: S311 - load, no secret
    rate = SERVERS * UTILISATION / MEAN
    made, now = [], 0.0
    while (now := now + chance.expovariate(rate)) < seconds:
        made.append(Arrival(now, SLOW if chance.random() < SLOW_SHARE else QUICK))
    return made


def ideal(requests: Sequence[Arrival]) -> list[float]:
    """The latencies of one queue in front of `SERVERS` servers."""
    free = [0.0] * SERVERS
    latencies = []
    for request in requests:
        end = max(heapq.heappop(free), request.at) + request.service
        heapq.heappush(free, end)
        latencies.append(end - request.at)
    return latencies


class Client:
    """64 connections and one thread, which measures."""

    def __init__(self, port: int) -> None:
        self.address = ("127.0.0.1", port)
        self.selector = selectors.DefaultSelector()
        self.free: list[socket.socket] = []
        self.began: dict[socket.socket, float] = {}
        self.partial: dict[socket.socket, bytes] = {}
        self.latencies: list[float] = []
        self.errors = 0
        self.reconnected = 0
        for _ in range(CONNECTIONS):
            self.connect()

    def connect(self) -> None:
        sock = socket.create_connection(self.address, 10)
        self.selector.register(sock, selectors.EVENT_READ)
        self.free.append(sock)

    def close(self) -> None:
        for key in list(self.selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self.selector.close()

    def run(self, requests: Sequence[Arrival], seed: int) -> list[float]:
        """Send each request at its time, and return the latencies."""
        chance = random.Random(seed)  # noqa: S311 - load, no secret
        start = time.perf_counter() + 0.05
        for request in requests:
            while (left := start + request.at - time.perf_counter()) > 0 or not self.free:
                self.receive(max(left, 0.0) if self.free else 1.0)
            sock = self.free.pop(chance.randrange(len(self.free)))
            self.began[sock] = start + request.at
            try:
                sock.sendall(b"GET /%.3f HTTP/1.1\r\nHost: a\r\n\r\n" % request.service)
            except OSError:
                self.replace(sock)
        deadline = time.perf_counter() + 10
        while self.began and time.perf_counter() < deadline:
            self.receive(0.1)
        self.errors += len(self.began)
        return self.latencies

    def receive(self, seconds: float) -> None:
        for key, _ in self.selector.select(seconds):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            try:
                data = sock.recv(4096)
            except OSError:
                data = b""
            if data and sock in self.began:
                # Head and body may come in two pieces.
                whole = self.partial.pop(sock, b"") + data
                if not whole.endswith(b"\r\n\r\nok"):
                    self.partial[sock] = whole
                    continue
                self.latencies.append(time.perf_counter() - self.began.pop(sock))
                if b"\r\nconnection: close\r\n" not in whole.lower():
                    self.free.append(sock)
                    continue
            self.replace(sock)

    def replace(self, sock: socket.socket) -> None:
        """A connection is closed: open another one; a request on it has failed."""
        self.errors += self.began.pop(sock, None) is not None
        if sock in self.free:
            self.free.remove(sock)
        self.partial.pop(sock, None)
        self.selector.unregister(sock)
        sock.close()
        self.reconnected += 1
        self.connect()


@contextlib.contextmanager
def serving(contender: Contender) -> Iterator[int]:
    """Run a server in a directory of its own; yields its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(APP)
        log = Path(folder, "log").open("wb")  # noqa: SIM115 - closed with the process
        argv = [part.format(port=port) for part in contender.command]
        process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log)
        try:
            wait_until_open(port, process, Path(folder, "log"))
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()


def wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            # Workers that are not there yet would all be missed by the first connections.
            time.sleep(1.5)
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')}")


def percentiles(latencies: Sequence[float]) -> tuple[float, float, float]:
    """p50, p90 and p99 in milliseconds."""
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return cuts[49] * 1e3, cuts[89] * 1e3, cuts[98] * 1e3


def measure(contender: Contender, requests: Sequence[Arrival], seed: int) -> Outcome:
    """Start a server, and see how it fares with `requests`."""
    with serving(contender) as port, contextlib.closing(Client(port)) as client:
        # All workers and connections are warm before it counts.
        client.run([Arrival(each * 0.01, QUICK) for each in range(CONNECTIONS * 2)], 0)
        client.latencies, client.reconnected = [], 0
        found = percentiles(client.run(requests, seed))
        return Outcome(found, client.errors, client.reconnected)


def misses(outcome: Outcome, best: Sequence[float]) -> bool:
    """Whether one of our own has missed the target."""
    _, p90, p99 = outcome.latencies
    return p90 / best[1] > P90_BAR or p99 / best[2] > P99_BAR or outcome.failed > 0


def page(
    here: machine.Machine,
    requests: Sequence[Arrival],
    seconds: float,
    outcomes: Sequence[tuple[Contender, Outcome | None]],
) -> str:
    """The table and what has to be known to read it; None for what is not installed."""
    best = percentiles(ideal(requests))
    header = ["server", "p50 ms", "p90 ms", "p99 ms", "p90 / ideal", "p99 / ideal"]
    rows = [["ideal: one queue", *(report.number(each) for each in best), "1", "1", "", ""]]
    missed = []
    for contender, outcome in outcomes:
        if outcome is None:
            rows.append([contender.title, "not installed", *[""] * 6])
            continue
        found = outcome.latencies
        counts = (str(outcome.failed), str(outcome.reconnected))
        ratios = [report.ratio(found[1], best[1]), report.ratio(found[2], best[2])]
        rows.append([contender.name, *map(report.number, found), *ratios, *counts])
        if contender.ours and misses(outcome, best):
            missed.append(contender.title)
    verdict = f"missed by {', '.join(missed)}" if missed else "met"
    return f"""\
# How long requests wait though a server is free

{here.date}. {here.cpu}, {here.cores} cores; {here.kernel}; {here.python}. \
Load average before the start: {here.load}.

{len(requests)} requests at random times (Poisson) in {seconds:g} s, on {CONNECTIONS} kept \
connections, to an application that sleeps: {100 - SLOW_SHARE * 100:g}% of them \
{QUICK * 1e3:g} ms, {SLOW_SHARE * 100:g}% {SLOW * 1e3:g} ms. {SERVERS} can be served at a time, \
and {UTILISATION:.0%} of that is in use. The latency counts from the time of the arrival, which is \
the same for all. A connection that the server closes is replaced at once, and stays silent until \
its turn comes. The ideal, one queue in front of {SERVERS} servers, is worked out. \
Written by `make bench-balance`.

Target for this tree: p90 at most {P90_BAR} and p99 at most {P99_BAR} of the ideal, and no \
request failed: **{verdict}**.

{report.table([*header, "failed", "closed by the server"], rows)}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Latency with kept connections and slow requests")
    parser.add_argument("--seconds", type=float, default=FULL_LENGTH, help="of load for each")
    parser.add_argument("--seed", type=int, default=1, help="of the arrivals")
    parser.add_argument("--only", nargs="*", help="keys of the servers to measure")
    parser.add_argument("--main", type=Path, default=places.MAIN, help="environment of this tree")
    parser.add_argument("--field", type=Path, help="that of the peers, if not the same")
    parser.add_argument("--pypi", type=Path, default=places.PYPI, help="that of PyPI's Gunicorn")
    parser.add_argument("--output", type=Path, help="directory for balance.md")
    options = parser.parse_args()
    here = machine.look()
    requests = arrivals(options.seconds, options.seed)
    best = percentiles(ideal(requests))
    outcomes: list[tuple[Contender, Outcome | None]] = []
    for one in contenders(options.main, options.field or options.main, options.pypi):
        if options.only and one.key not in options.only:
            continue
        there = Path(one.command[0]).exists()
        outcomes.append((one, measure(one, requests, options.seed) if there else None))
        print(f"{one.title}: {outcomes[-1][1] or 'not installed'}", flush=True)
    whole = not options.only and options.seconds >= FULL_LENGTH
    output = options.output or (places.RESULTS if whole else places.QUICK_RESULTS)
    output.mkdir(parents=True, exist_ok=True)
    text = page(here, requests, options.seconds, outcomes)
    (output / "balance.md").write_text(text)
    print(f"\n{text}\nWrote {output}/balance.md.")
    return int(any(one.ours and found and misses(found, best) for one, found in outcomes))


if __name__ == "__main__":
    sys.exit(main())
