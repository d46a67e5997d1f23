"""Time from the start of a server to its first response: Flask, four workers.

    python3 -m benchmarks.install                     # the environments, once
    benchmarks/.venv/bin/python -m benchmarks.first_response [ROUNDS]

This tree and Gunicorn of PyPI take turns in random order. The client connects every millisecond
until somebody listens, and sends one request. This is wall-clock time, so the machine must be
quiet; the CPU time of the whole start, the second column, is not so particular.
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
SERVERS = {
    "this tree": (places.MAIN, ()),
    "gunicorn of PyPI": (places.PYPI, (NO_CONTROL,)),
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
    ours, peer = (list(zip(*taken[name], strict=True)) for name in SERVERS)
    print(f"{f'median (best) of {rounds}':24}{'ms to the response':>24}{'ms of CPU':>20}")
    for name, columns in zip(SERVERS, (ours, peer), strict=True):
        shown = [f"{statistics.median(c) * 1e3:.0f} ({min(c) * 1e3:.0f})" for c in columns]
        print(f"{name:24}{shown[0]:>24}{shown[1]:>20}")
    ratios = [
        f"{statistics.median(mine) / statistics.median(theirs):.2f} ({min(mine) / min(theirs):.2f})"
        for mine, theirs in zip(ours, peer, strict=True)
    ]
    print(f"{'ratio':24}{ratios[0]:>24}{ratios[1]:>20}")


def start(name: str) -> tuple[float, float]:
    """Seconds to the first response, and CPU seconds that all processes have used when idle."""
    environment, options = SERVERS[name]
    port = free_port()
    command = [
        *(str(places.python_of(environment)), "-m", "gunicorn", "--workers", str(WORKERS)),
        *("--bind", f"127.0.0.1:{port}", "--pythonpath", str(places.APPS), *options, APP),
    ]
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as directory:
        began = time.monotonic()
        with ServerProcess(command, {}, Path(directory)) as server:
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
