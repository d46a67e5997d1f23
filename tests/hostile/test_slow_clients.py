"""Thousands of clients that are slow on purpose, and one that is not."""

from __future__ import annotations

import contextlib
import os

import pytest

from tests.hostile.measure import APP, attack, fast_requests, memory, raise_limit, settles
from tests.integration.conftest import Serve
from tests.servers import Server

MIB = 1 << 20


def connections(server: Server) -> int:
    """Open sockets of the workers."""
    found = 0
    for pid in server.workers():
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
    return found


@pytest.mark.alone
def test_thousands_of_slow_clients_at_once(serve: Serve) -> None:
    """1,000 slow heads, 1,000 slow bodies and 200 that do not read, against two workers."""
    raise_limit()
    server = serve(APP, "--workers", "2", "--worker-connections", "2000")
    server.wait_workers(2)
    fast_requests(server, 200)
    for _ in range(4):
        assert server.get("/big").status == 200
    before = memory(server)
    alone = fast_requests(server, 500)
    with attack(server, "head=1000", "body=500", "chunks=500", "reader=200") as attackers:
        among = fast_requests(server, 1000)
        during = memory(server)
        fates = attackers.end()
    after = settles(server, before * 1.2)
    print(f"\nalone: {alone}\namong: {among}\nfates: {fates}")
    print(f"MiB before {before / MIB:.1f}, during {during / MIB:.1f}, after {after / MIB:.1f}")
    assert alone.failures == 0
    assert among.failures == 0
    assert among.median < max(3 * alone.median, 0.003)
    assert fates == {
        "SlowHead open none": 1000, "SlowBody open none": 500, "SlowChunks open none": 500,
        "NonReader open none": 200,
    }, "they were held, not turned away"  # fmt: skip
    server.never_says(r"\[ERROR\]")
    server.never_says("WORKER TIMEOUT")


@pytest.mark.parametrize("kind", ["head", "reader"])
def test_more_slow_clients_than_places(serve: Serve, kind: str) -> None:
    """Who takes every place and does nothing with it has to make way."""
    server = serve(APP, "--workers", "2", "--worker-connections", "50")
    server.wait_workers(2)
    with attack(server, f"{kind}=120") as attackers:
        among = fast_requests(server, 100)
        fates = attackers.end()
    print(f"\namong: {among}\nfates: {fates}")
    assert among.failures == 0
    assert sum(count for fate, count in fates.items() if " closed " in fate) > 0
    server.wait_for("All 50 places of worker_connections are taken")


def test_the_time_of_slow_clients_is_bounded(serve: Serve) -> None:
    """Heads, bodies that pause, bodies below the rate, and readers: all end by their time-outs."""
    server = serve(
        APP, "--header-timeout", "2", "--body-timeout", "1.5", "--min-body-rate", "1000",
        "--send-timeout", "2",
    )  # fmt: skip
    with attack(server, "head=50", "body=50", "chunks=50", "silent=50", "reader=50") as attackers:
        server.until(lambda: connections(server) < 5, "the end of every one of them")
        fates = attackers.end()
    print(f"\nfates: {fates}")
    assert fates == {
        "SlowHead closed 408": 50, "SlowBody closed 408": 50, "SlowChunks closed 408": 50,
        "Silent closed none": 50, "NonReader closed none": 50,
    }  # fmt: skip
