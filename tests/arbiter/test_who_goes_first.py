"""Of workers that are too many, those go first that nobody would miss: they do not serve yet."""

from __future__ import annotations

import signal
from pathlib import Path

from gunicorn.arbiter.generation import Generation
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


def member(pool: WorkerPool, pid: int, of: Generation) -> Member:
    made = worker(pid)
    return pool.add(made, of, made.tmp.last_update())


def booted(one: Member) -> Member:
    one.worker.tmp.notify()
    return one


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
    serves, hangs = booted(member(pool, 11, old)), member(pool, 12, old)
    booted(member(pool, 21, new))
    assert pool.passage(new, 2).retire == [hangs]
    hangs.retired = 1.0
    booted(member(pool, 22, new))
    assert pool.passage(new, 2).retire == [serves]
