"""Time from the start of a server to its first response: Flask, four workers.

    python3 -m benchmarks.install                     # the environments, once
    benchmarks/.build/venv/bin/python -m benchmarks.first_response [ROUNDS]

This tree, Gunicorn of PyPI and the least server that could be (`bare.py`: import, fork, accept)
take turns in random order. The client connects every millisecond until somebody listens, and sends
one request. This is wall-clock time, so the machine must be quiet; the CPU time of the whole
start, the last column, is not so particular.
"""

from __future__ import annotations

import random
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from . import places
from .process import TICKS, ProcessError, ServerProcess
from .servers import NO_CONTROL

APP = "flask_hello:app"
WORKERS = 4
PATIENCE = 30.0
"""Seconds for a start."""
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
PYPI = "gunicorn of PyPI"
GUNICORN = ("-m", "gunicorn", "--pythonpath", str(places.APPS), "--workers", str(WORKERS), APP)
SERVERS = {
    "this tree": (places.MAIN, lambda port: (*GUNICORN, "--bind", f"127.0.0.1:{port}")),
    PYPI: (places.PYPI, lambda port: (*GUNICORN, "--bind", f"127.0.0.1:{port}", NO_CONTROL)),
    "bare processes": (places.MAIN, lambda port: (str(places.BARE), str(port), APP, str(WORKERS))),
}


def main() -> None:
    """Start each server so many times and print the medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in SERVERS}
    for number in range(rounds + 1):
        for name in random.sample(list(SERVERS), len(SERVERS)):
            figures = start(name)
            if number:
                # The first round fills the page cache.
                taken[name].append(figures)
    columns = {name: list(zip(*taken[name], strict=True)) for name in SERVERS}
    title = f"median (best) of {rounds}"
    print(f"{title:20}{'ms to the response':>22}{'/ PyPI':>14}{'ms of CPU':>14}")
    peer = columns[PYPI][0]
    for name, (seconds, used) in columns.items():
        middle, best = statistics.median(seconds), min(seconds)
        ratio = f"{middle / statistics.median(peer):.2f} ({best / min(peer):.2f})"
        shown = f"{middle * 1e3:.0f} ({best * 1e3:.0f})"
        print(f"{name:20}{shown:>22}{ratio:>14}{statistics.median(used) * 1e3:14.0f}")


def start(name: str) -> tuple[float, float]:
    """Seconds to the first response, and CPU seconds that all processes have used when idle."""
    environment, arguments = SERVERS[name]
    port = free_port()
    command = [str(places.python_of(environment)), *arguments(port)]
    variables = {"PYTHONPATH": str(places.APPS)}
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as directory:
        began = time.monotonic()
        with ServerProcess(command, variables, Path(directory)) as server:
            answer = ask(port, began + PATIENCE)
            seconds = time.monotonic() - began
            if not answer.startswith(b"HTTP/1.1 200"):
                raise ProcessError(f"{name} answered {answer[:60]!r}")
            return seconds, used_at_rest(server)


def ask(port: int, deadline: float) -> bytes:
    """The whole response to the first connection that is accepted."""
    while True:
        try:
            client = socket.create_connection(("127.0.0.1", port), PATIENCE)
            break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)
    with client:
        client.sendall(REQUEST)
        return b"".join(iter(lambda: client.recv(65536), b""))


def used_at_rest(server: ServerProcess) -> float:
    """Seconds of CPU of all processes once they are all there and use no more."""
    last, quiet = -1, 0
    while quiet < 5:
        ticks = sum(server.usage().ticks.values())
        quiet = quiet + 1 if ticks == last and len(server.stats()) > WORKERS else 0
        last = ticks
        time.sleep(0.05)
    return last / TICKS


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
