"""Places that become free are taken at once by those who wait for them."""

from __future__ import annotations

import time

import pytest

from tests.hostile.test_totals import SINGLE
from tests.integration.conftest import Serve
from tests.integration.wire import render, wire
from tests.servers import HELLO
from tests.worker_classes import WORKER_CLASSES


@pytest.mark.alone
@pytest.mark.parametrize("worker_class", SINGLE)
def test_a_place_that_is_free_is_taken_without_a_pause(serve: Serve, worker_class: str) -> None:
    """There is one, and somebody waits for it each time."""
    server = serve(HELLO, *WORKER_CLASSES[worker_class], "--worker-connections", "1")
    lasted = 0.0
    for _ in range(12):
        with wire(server) as first, wire(server) as second:
            first.send(b"GET / HTTP/1.1\r\nHo")
            second.send(render("GET / HTTP/1.1\nHost: a\nConnection: close"))
            # Long enough for the worker to know that there is no place.
            time.sleep(0.1)
            first.send(b"st: a\r\nConnection: close\r\n\r\n")
            assert first.answer().status == 200
            began = time.monotonic()
            assert second.answer().status == 200
            lasted += time.monotonic() - began
    print(f"{lasted:.2f} s for twelve places")
    assert lasted < 1.5, "a look twice a second would take 3 seconds"


@pytest.mark.alone
@pytest.mark.parametrize("worker_class", SINGLE)
def test_who_had_to_make_way_does_not_keep_the_place(serve: Serve, worker_class: str) -> None:
    """It is told why, and there is no time for it to go on sending (RFC 9112, 9.6)."""
    server = serve(
        HELLO, *WORKER_CLASSES[worker_class], "--worker-connections", "1", "--header-timeout", "60"
    )
    with wire(server) as slow, wire(server) as other:
        slow.send(b"GET / HTTP/1.1\r\nHo")
        began = time.monotonic()
        other.send(render("GET / HTTP/1.1\nHost: a"))
        assert other.answer().status == 200
        assert time.monotonic() - began < 5.5, "3 seconds, and not those of lingering on top"
        assert slow.answer().status == 408
