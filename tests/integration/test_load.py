"""Under load not one request fails, whatever happens to connections and workers."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time

import pytest

from tests.integration.conftest import Serve
from tests.programs import program
from tests.servers import HELLO, Server

pytestmark = pytest.mark.alone  # for others: wrk and ab take all that the CPUs have


def ab(server: Server, *options: str, requests: int, seconds: int) -> int:
    """Run ab; returns how many requests it made. AssertionError when one of them failed."""
    command = [program("ab"), "-q", "-r", "-s", "20", "-c", "100"]
    done = subprocess.run(
        [*command, "-t", str(seconds), "-n", str(requests), *options, server.url + "/"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert number(r"Failed requests: +(\d+)", done.stdout) == 0, done.stdout
    assert "Non-2xx" not in done.stdout, done.stdout
    return number(r"Complete requests: +(\d+)", done.stdout)


def number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    assert match, text
    return int(match[1])


@pytest.mark.slow
@pytest.mark.parametrize("keepalive", ["0", "60"])
def test_wrk_and_ab(serve: Serve, keepalive: str) -> None:
    server = serve(HELLO, "-w", "2", "--keep-alive", keepalive)
    workers = server.wait_workers(2)
    done = subprocess.run(
        [program("wrk"), "-t", "2", "-c", "100", "-d", "1", server.url + "/"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert number(r"(\d+) requests in", done.stdout) > 200, done.stdout
    assert "Non-2xx" not in done.stdout, done.stdout
    assert "Socket errors" not in done.stdout, done.stdout
    for keeping in ([], ["-k"]):
        assert ab(server, *keeping, requests=5000, seconds=10) == 5000
    assert server.workers() == workers
    assert server.stop() == 0
    server.never_says("ERROR")


@pytest.mark.slow
@pytest.mark.parametrize("keeping", [[], ["-k"]], ids=["fresh", "kept"])
def test_workers_that_retire_lose_nothing(serve: Serve, keeping: list[str]) -> None:
    server = serve(
        HELLO, "-w", "2", "--max-requests", "200", "--max-requests-jitter", "100",
        "--keep-alive", "60",
    )  # fmt: skip
    first = server.wait_workers(2)
    assert ab(server, *keeping, requests=4000, seconds=10) == 4000
    # A spent worker goes on serving until its successor has booted: two may answer all of them.
    server.wait_for("Autorestarting worker after current request.", count=2)
    server.until(lambda: not set(first) & set(server.workers()), "new workers")
    server.never_says("ERROR")


@pytest.mark.slow
@pytest.mark.parametrize("keeping", [[], ["-k"]], ids=["fresh", "kept"])
def test_a_reload_under_load_loses_nothing(serve: Serve, keeping: list[str]) -> None:
    server = serve(HELLO, "-w", "2", "--keep-alive", "60")
    server.wait_workers(2)
    failures: list[BaseException] = []

    def load() -> None:
        try:
            ab(server, *keeping, requests=1_000_000, seconds=3)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    count = 0
    while thread.is_alive():
        count += 1
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload done", count=count)
        time.sleep(0.2)
    thread.join()
    assert not failures, failures
    assert count > 1
