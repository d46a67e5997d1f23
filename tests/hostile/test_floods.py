"""Many connections: that come and go, that stay, and more than there are descriptors for."""

from __future__ import annotations

import contextlib
import socket
import sys
import time

import pytest

from tests.hostile.measure import APP, attack, cpu_seconds, fast_requests, memory, raise_limit
from tests.integration.conftest import Serve
from tests.integration.wire import Wire
from tests.servers import HELLO

MANY = 10_000
SPARE = 1000
"""Descriptors that the tests need for other things."""


def test_a_flood_of_connects_and_resets(serve: Serve) -> None:
    """Connections that end at every stage of a request are normal, and nothing to talk about."""
    server = serve(APP, "--workers", "2")
    workers = server.wait_workers(2)
    with attack(server, "storm=4000") as attackers:
        among = fast_requests(server, 500)
        fates = attackers.end()
    print(f"\namong: {among}\nfates: {fates}")
    assert among.failures == 0
    assert fates == {"connected": 4000}
    assert server.workers() == workers
    server.never_says(r"\[WARNING\]", r"\[ERROR\]", "Traceback")


def test_descriptors_that_run_out(serve: Serve) -> None:
    """Silent clients take every descriptor: one line in the log, no spinning, and then service."""
    few = ("/bin/sh", "-c", 'ulimit -n 64; exec "$@"', "sh", sys.executable, "-m", "gunicorn")
    server = serve(APP, command=few)
    (worker,) = server.wait_workers(1)
    with attack(server, "silent=150") as attackers:
        server.wait_for("Cannot accept connections: .* Too many open files")
        used, began = cpu_seconds(server), time.monotonic()
        fast = fast_requests(server, 1)
        share = (cpu_seconds(server) - used) / (time.monotonic() - began)
        fates = attackers.end()
    after = fast_requests(server, 200)
    print(f"\nduring: {fast}, {share:.0%} of a processor; after: {after}\nfates: {fates}")
    assert fast.failures == after.failures == 0
    assert share < 0.3
    server.says_in_all("Cannot accept connections", 1)
    assert server.workers() == [worker]


@pytest.mark.alone
def test_ten_thousand_kept_connections(serve: Serve) -> None:
    """They cost memory only, and each of them is served when it asks again."""
    count = min(MANY, raise_limit() - SPARE) // 100 * 100
    server = serve(
        HELLO, "--workers", "2", "--worker-connections", str(count), "--keep-alive", "300"
    )
    server.wait_workers(2)
    fast_requests(server, 200)
    alone = fast_requests(server, 300)
    before = memory(server)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with contextlib.ExitStack() as stack:
        kept: list[socket.socket] = []
        while len(kept) < count:
            some = [stack.enter_context(server.connect()) for _ in range(100)]
            for client in some:
                client.sendall(request)
            for client in some:
                assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            kept += some
        each = (memory(server) - before) / count
        among = fast_requests(server, 500)
        for client in kept[:: count // 500]:
            assert Wire(client).get().status == 200
    print(f"\n{count} kept, {each:.0f} bytes each\nalone: {alone}\namong: {among}")
    assert among.failures == 0
    assert among.median < max(3 * alone.median, 0.003)
    assert each < 4096
