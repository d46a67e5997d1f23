"""A configuration file that patches the standard library for green threads."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.servers import HELLO, Server, started_in_test

EVENTLET = "import eventlet\neventlet.monkey_patch()\n"
EVENTLET_BUT_THREADS = "import eventlet\neventlet.monkey_patch(thread=False)\n"
GEVENT = "from gevent import monkey\nmonkey.patch_all()\n"
GEVENT_BUT_THREADS = "from gevent import monkey\nmonkey.patch_all(thread=False)\n"

WAITING = """\
import threading, time

both = threading.Barrier(2)

def app(environ, start_response):
    time.sleep(0.1)
    both.wait(20)
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""
"""Answers two requests that wait at the same time."""


@pytest.mark.parametrize(
    ("patch", "worker_class"),
    [
        (EVENTLET, "eventlet"), (EVENTLET, "sync"), (EVENTLET_BUT_THREADS, "gthread"),
        (GEVENT, "gevent"), (GEVENT, "sync"), (GEVENT_BUT_THREADS, "gthread"),
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


@pytest.mark.parametrize("patch", [EVENTLET_BUT_THREADS, GEVENT_BUT_THREADS])
def test_threads_that_were_left_alone_wait_beside_each_other(tmp_path: Path, patch: str) -> None:
    files = {"app.py": WAITING, "gunicorn.conf.py": patch}
    args = ("-k", "gthread", "--threads", "4")
    with (
        Server("app:app", *args, cwd=tmp_path, files=files) as server,
        ThreadPoolExecutor(2) as pool,
    ):
        assert [reply.text for reply in pool.map(server.get, ("/", "/"))] == ["hello", "hello"]
        assert server.stop() == 0


@pytest.mark.parametrize("patch", [EVENTLET, GEVENT])
@pytest.mark.parametrize(
    ("place", "code"), [("gunicorn.conf.py", 1), ("app.py", 4), ("app.py --preload", 4)]
)
def test_gthread_refuses_green_threads_with_words(
    tmp_path: Path, patch: str, place: str, code: int
) -> None:
    name, *options = place.split()
    files = {"app.py": HELLO, "gunicorn.conf.py": ""}
    files[name] = patch + files[name]
    with started_in_test() as servers:
        server = Server("app:app", "-k", "gthread", *options, cwd=tmp_path, files=files, wait=False)
        servers.append(server)
        assert server.wait() == code
        log = server.log()
        assert "Use worker_class 'gevent' or 'eventlet'" in log
        assert "Traceback" not in log


@pytest.mark.parametrize("patch", [EVENTLET, GEVENT])
def test_a_reload_that_would_make_threads_green_is_called_off(tmp_path: Path, patch: str) -> None:
    files = {"app.py": HELLO, "gunicorn.conf.py": ""}
    with Server("app:app", "-k", "gthread", cwd=tmp_path, files=files) as server:
        assert server.get("/").text == "hello"
        (tmp_path / "app.py").write_text(patch + HELLO)
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload called off")
        assert server.get("/").text == "hello"
        assert server.stop() == 0
