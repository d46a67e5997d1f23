"""What is counted of workers: siblings that are there, and requests until they retire."""

from __future__ import annotations

import pytest

from gunicorn.scoreboard import Scoreboard
from gunicorn.workers.base import _retire_after
from tests.integration.conftest import Serve, serve
from tests.integration.wire import wire
from tests.servers import HELLO

__all__ = ["serve"]


def test_who_is_gone_is_no_sibling() -> None:
    board = Scoreboard(4)
    first, second = board.acquire(), board.acquire()
    for pid, slot in enumerate((first, second), 11):
        slot.pid, slot.generation = pid, 1
    assert first.has_siblings()
    assert len(first.others()) == 1
    board.release(second)
    assert not first.has_siblings()
    assert first.others() == []


def test_workers_that_were_started_together_retire_apart() -> None:
    assert {_retire_after(10, 3) for _ in range(500)} == {10, 11, 12, 13}
    assert {_retire_after(10, 0) for _ in range(20)} == {10}


@pytest.mark.parametrize("request_line", ["GET / HTTP/1.1", "POST / HTTP/1.1"])
def test_max_requests_of_one_is_one(serve: Serve, request_line: str) -> None:
    server = serve(HELLO, "--max-requests", "1")
    (worker,) = server.wait_workers(1)
    with wire(server) as client:
        assert client.ask(f"{request_line}\nHost: a\nContent-Length: 3", b"abc").status == 200
    server.wait_for("Autorestarting worker after current request")
    server.until(lambda: server.workers() not in ([], [worker]), "a successor")
