"""The arbiter is killed when it has just started its successor: the successor serves."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.faults.conftest import Serve, serve
from tests.servers import alive

__all__ = ["serve"]

SLOW_LOG = """\
import os
import time

from gunicorn.glogging import Logger

class Slow(Logger):
    def info(self, msg, *args, **kwargs):
        super().info(msg, *args, **kwargs)
        if msg.startswith("Started a new master"):
            open("started", "w").close()
            while True:
                time.sleep(1)

logger_class = Slow
pidfile = "p"
"""
"""The arbiter gets no further than to the fork."""


@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent", "eventlet", "tornado"])
def test_its_workers_leave_the_listeners_to_the_new_one(
    serve: Serve, tmp_path: Path, worker_class: str
) -> None:
    server = serve("-w", "2", "-k", worker_class, "-c", "conf.py", files={"conf.py": SLOW_LOG})
    old = server.wait_workers(2)
    server.send_signal(signal.SIGUSR2)
    server.until((tmp_path / "started").exists, "the fork")
    server.wait_for(r"Listening at", count=2)
    os.kill(server.pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    server.until(lambda: not any(map(alive, old)), "the end of the old workers")
    for _ in range(8):
        assert server.get("/", timeout=5).status == 200
    server.until(lambda: (tmp_path / "p").read_text().strip() != str(server.pid), "the pidfile")
    new = int((tmp_path / "p").read_text())
    os.kill(new, signal.SIGTERM)
    server.assert_nothing_left(20)
