"""A configuration file that patches the standard library for green threads."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.servers import HELLO, Server

EVENTLET = "import eventlet\neventlet.monkey_patch()\n"
GEVENT = "from gevent import monkey\nmonkey.patch_all()\n"


@pytest.mark.parametrize(
    ("patch", "worker_class"),
    [
        (EVENTLET, "eventlet"), (EVENTLET, "sync"), (EVENTLET, "gthread"),
        (GEVENT, "gevent"), (GEVENT, "sync"), (GEVENT, "gthread"),
    ],
)  # fmt: skip
def test_the_arbiter_is_none_the_worse_for_it(
    tmp_path: Path, patch: str, worker_class: str
) -> None:
    files = {"app.py": HELLO, "gunicorn.conf.py": patch}
    with Server("app:app", "-k", worker_class, "-w", "2", cwd=tmp_path, files=files) as server:
        assert server.get("/").text == "hello"
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload done")
        assert server.get("/").text == "hello"
        server.send_signal(signal.SIGTTIN)
        server.wait_workers(3)
        assert server.stop() == 0
