"""Workers that die before they serve: exit codes 3 and 4, back-off, and going on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.arbiter.conftest import Serve

RAISES = "def made():\n    raise RuntimeError('broken by its author')\nmade()\n"


@pytest.mark.parametrize("options", [(), ("--preload",)])
def test_an_application_that_raises_ends_with_three(serve: Serve, options: tuple[str]) -> None:
    server = serve(*options, "--pid", "pid", files={"app.py": RAISES}, wait=False)
    assert server.wait() == 3
    server.assert_nothing_left()
    log = server.log()
    assert "RuntimeError: broken by its author" in log
    assert "Reason: " in log
    assert "arbiter/child.py" not in log, "the traceback of the user's code, not of ours"
    assert not (server.cwd / "pid").exists()


@pytest.mark.parametrize("options", [(), ("--preload",)])
@pytest.mark.parametrize("app", ["app:missing", "nowhere:app"])
def test_an_application_that_is_not_there_ends_with_four(
    serve: Serve, app: str, options: tuple[str]
) -> None:
    server = serve(*options, app=app, wait=False)
    assert server.wait() == 4
    assert "App failed to load" in server.log()
    server.never_says("Traceback")


def test_workers_that_only_die_are_tried_a_few_times(serve: Serve) -> None:
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    server = serve("-w", "1", files={"app.py": source}, wait=False)
    assert server.wait() == 3
    log = server.log()
    assert log.count("was sent SIGKILL") == 5
    assert "failed to boot (SIGKILL); next attempt in 0.2 s" in log
    assert "Reason: Worker failed to boot." in log


def test_an_application_that_exits_at_import_does_not_spin(serve: Serve) -> None:
    source = "import sys\nsys.exit(0)\n"
    server = serve("-w", "1", files={"app.py": source}, wait=False)
    assert server.wait() == 3
    assert server.log().count("Booting worker") == 5


def test_once_booted_boot_failures_are_retried_with_a_back_off(
    serve: Serve, tmp_path: Path
) -> None:
    source = (
        "import os, pathlib\n"
        "try:\n    os.close(os.open('first', os.O_CREAT | os.O_EXCL))\n"
        "except FileExistsError:\n"
        "    if not os.path.exists('mended'):\n        raise RuntimeError('only one may boot')\n"
        "def app(environ, start_response):\n    return [str(os.getpid()).encode()]\n"
    )
    server = serve("-w", "1", files={"app.py": source})
    pid = int(server.get("/").text)
    os.kill(pid, signal.SIGKILL)
    server.wait_for(r"failed to boot \(code 3\); next attempt in 0\.4 s")
    assert server.process.poll() is None
    (tmp_path / "mended").touch()
    assert int(server.get("/").text) != pid


def test_a_worker_class_that_never_says_it_booted_serves(serve: Serve) -> None:
    server = serve("-k", "tiny.Untold")
    server.wait_workers(2)
    assert server.get("/").text == "hello"
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    assert server.get("/").text == "hello"


def test_a_boot_that_hangs_is_aborted(serve: Serve, tmp_path: Path) -> None:
    source = (
        "import os, time\nif not os.path.exists('mended'):\n    time.sleep(60)\n"
        "def app(environ, start_response):\n    return [b'hello']\n"
    )
    server = serve("-w", "1", "-t", "1", files={"app.py": source})
    server.wait_for("WORKER TIMEOUT")
    (tmp_path / "mended").touch()
    assert server.get("/").text == "hello"


def test_a_fault_of_the_worker_class_shows_its_whole_traceback(serve: Serve) -> None:
    source = "from gunicorn.workers.base import Worker\nclass Idle(Worker):\n    pass\n"
    server = serve("-k", "idle.Idle", files={"idle.py": source}, wait=False)
    server.wait_for("NotImplementedError: Idle must define run()")
    assert "Traceback (most recent call last)" in server.log()
    server.stop()


def test_a_syntax_error_is_shown_as_it_stands_in_the_file(serve: Serve) -> None:
    server = serve(files={"app.py": "def app(:\n    pass\n"}, wait=False)
    assert server.wait() == 3
    assert 'app.py", line 1' in server.log()
    server.never_says("importlib")


QUITS_BADLY = """\
import time
open("began", "w").close()
try:
    time.sleep(60)
except SystemExit:
    raise TypeError("made of the exit")
"""


@pytest.mark.parametrize("worker_class", [(), ("-k", "sync"), ("-k", "gthread")])
def test_a_worker_that_is_told_to_end_while_it_loads_has_not_failed(
    serve: Serve, tmp_path: Path, worker_class: tuple[str, ...]
) -> None:
    """Whatever the import makes of the exit: the interpreter itself may make a TypeError of it."""
    server = serve("-w", "1", *worker_class, files={"app.py": QUITS_BADLY}, wait=False)
    server.until((tmp_path / "began").exists, "an application that is being loaded")
    server.never_says("ERROR", "Traceback")
    assert server.stop() == 0
