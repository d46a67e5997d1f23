"""USR1 at any moment: who rotates logs signals every process of the name, whatever it does."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.arbiter.conftest import Serve

IN_THE_HOOK = """\
import os
import time

def pre_exec(server):
    open("here", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.02)
"""

BEHIND_IT = """\
import os
import time

if "GUNICORN_PID" in os.environ:
    open("here", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.02)
"""


@pytest.mark.parametrize("conf", [IN_THE_HOOK, BEHIND_IT], ids=["pre_exec", "configuration"])
def test_the_new_arbiter_survives_before_it_can_reopen_anything(
    serve: Serve, tmp_path: Path, conf: str
) -> None:
    """Neither before the new program is executed, nor while it reads its configuration."""
    server = serve("--pid", "p", "-c", "conf.py", files={"conf.py": conf})
    server.wait_serving(2)
    server.send_signal(signal.SIGUSR2)
    server.until((tmp_path / "here").exists, "the new arbiter")
    new = int(server.wait_for(r"Started a new master \(pid: (\d+)\)")[1])
    os.kill(new, signal.SIGUSR1)
    server.send_signal(signal.SIGUSR1)
    server.wait_for("Handling signal: usr1")
    (tmp_path / "go").touch()
    server.until((tmp_path / "p.2").exists, "the new arbiter's pidfile")
    assert int((tmp_path / "p.2").read_text()) == new
    server.wait_workers(2, pid=new)
    os.kill(new, signal.SIGTERM)
    server.wait_for(r"The new master \(pid: \d+\) ended with code 0")


FORKED = """\
import os
import time

def post_fork(server, worker):
    open("forked", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.02)
"""


def test_a_worker_survives_before_it_has_handlers(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "1", "-c", "conf.py", files={"conf.py": FORKED})
    server.until((tmp_path / "forked").exists, "the fork")
    (worker,) = server.wait_workers(1)
    server.send_signal(signal.SIGUSR1)
    server.wait_for("Handling signal: usr1")
    (tmp_path / "go").touch()
    assert server.wait_serving(1) == [worker]


WAITS = """\
import os
import time

def app(environ, start_response):
    open("called", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.02)
    start_response("200 OK", [])
    return [b"done"]
"""


def test_logs_are_reopened_while_the_last_requests_are_finished(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve("--error-logfile", "e.log", files={"app.py": WAITS})
    request = threading.Thread(target=server.get)
    request.start()
    server.until((tmp_path / "called").exists, "the application")
    log = tmp_path / "e.log"
    server.send_signal(signal.SIGTERM)
    server.until(lambda: "Handling signal: term" in log.read_text(), "the end of the server")
    log.rename(tmp_path / "e.1")
    server.send_signal(signal.SIGUSR1)
    server.until(log.exists, "a new log")
    (tmp_path / "go").touch()
    request.join()
    assert server.wait() == 0
    assert "Shutting down: Master" in log.read_text()


def test_a_reload_reopens_logs_too(serve: Serve, tmp_path: Path) -> None:
    """Some rotate by HUP."""
    server = serve("--error-logfile", "e.log")
    server.wait_serving(2)
    log = tmp_path / "e.log"
    log.rename(tmp_path / "e.1")
    server.send_signal(signal.SIGHUP)
    server.until(lambda: log.exists() and "Reload done" in log.read_text(), "the new log")
