"""Of workers that are too many, those go first that nobody would miss: they do not serve yet."""

from __future__ import annotations

import signal
from pathlib import Path

from gunicorn.arbiter.pool import Member, WorkerPool
from tests.arbiter.conftest import Serve
from tests.arbiter.test_units import generation, worker
from tests.servers import HELLO

SLOW_WHEN_TOLD = f"""\
import os
import time

while os.path.exists("slow"):
    time.sleep(0.02)

{HELLO}"""


def booted(member: Member) -> Member:
    member.worker.tmp.cells[0] = member.started + 1
    return member


def test_one_less_is_the_one_that_boots(serve: Serve, tmp_path: Path) -> None:
    server = serve(files={"app.py": SLOW_WHEN_TOLD})
    old = server.wait_serving(2)
    (tmp_path / "slow").touch()
    for _ in range(2):
        server.send_signal(signal.SIGTTIN)
        server.wait_workers(3)
        server.send_signal(signal.SIGTTOU)
        assert server.wait_workers(2) == old
    (tmp_path / "slow").unlink()


def test_what_does_not_serve_is_replaced_first() -> None:
    pool, old, new = WorkerPool(), generation(1), generation(2)
    serves, hangs = booted(pool.add(worker(11), old)), pool.add(worker(12), old)
    booted(pool.add(worker(21), new))
    assert pool.passage(new, 2).retire == [hangs]
    hangs.retired = 1.0
    booted(pool.add(worker(22), new))
    assert pool.passage(new, 2).retire == [serves]
