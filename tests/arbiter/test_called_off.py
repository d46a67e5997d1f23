"""A reload that is called off leaves everything as it was, and a later one begins afresh."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.arbiter.conftest import Serve
from tests.servers import HELLO, Server

FAILS_WHEN_TOLD = """\
from pathlib import Path

def post_worker_init(worker):
    if Path("broken").exists():
        raise RuntimeError("on purpose")
"""


def call_off(server: Server, *, count: int = 1) -> None:
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload called off: .* The old generation goes on serving", count=count)


def test_its_template_ends(serve: Serve, tmp_path: Path) -> None:
    """It had loaded the application; it was the workers that failed."""
    server = serve("--preload", "-c", "conf.py", files={"conf.py": FAILS_WHEN_TOLD})
    before = server.wait_workers(3)
    assert server.get("/").text == "hello"
    (tmp_path / "broken").touch()
    for count in (1, 2):
        call_off(server, count=count)
        server.until(lambda: server.workers() == before, "the processes of before")
    (tmp_path / "broken").unlink()
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    server.until(
        lambda: len(server.workers()) == 3 and not set(before) & set(server.workers()),
        "three new ones",
    )


ONLY_THE_FIRST_BOOTS = """\
import os

reload_surge = 1

def post_worker_init(worker):
    if worker.generation == 1:
        return
    try:
        os.close(os.open("booted", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        raise RuntimeError("on purpose") from None
"""


def test_it_is_called_off_at_the_third_failure_where_others_boot(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve("-w", "3", "-c", "conf.py", files={"conf.py": ONLY_THE_FIRST_BOOTS})
    server.wait_serving(3)
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload called off: worker .* failed to boot.* The old generation goes on")
    assert len(re.findall("RuntimeError: on purpose$", server.log(), re.MULTILINE)) == 3
    server.wait_workers(3)
    assert server.get("/").text == "hello"


ONE_HOLDS = """\
import os
import time
from pathlib import Path

def post_worker_init(worker):
    if worker.generation == 1:
        return
    if not Path("booted").exists():
        Path("booted").touch()
        os.environ["HOLDS"] = "yes"
        return
    while not Path("holding").exists():
        time.sleep(0.02)
    raise RuntimeError("on purpose")
"""

HOLD = """\
import os
import time

def app(environ, start_response):
    if "HOLDS" in os.environ:
        open("holding", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.02)
    start_response("200 OK", [])
    return [b"here"]
"""


def test_its_template_ends_though_one_of_its_workers_goes_on(serve: Serve, tmp_path: Path) -> None:
    """With a request that lasts."""
    files = {"conf.py": ONE_HOLDS, "app.py": HOLD}
    server = serve("--preload", "-c", "conf.py", files=files)
    before = server.wait_workers(3)
    server.send_signal(signal.SIGHUP)
    server.until((tmp_path / "booted").exists, "a new worker")

    def ask() -> None:
        while not (tmp_path / "holding").exists():
            server.get("/")

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    server.wait_for("Reload called off: worker .* failed to boot")
    # The template waits for the last of its workers, who may use what it has made.
    assert set(before) & set(server.workers())
    (tmp_path / "go").touch()
    for thread in asking:
        thread.join()
    server.wait_workers(3)


def test_a_worker_that_is_started_later_serves_the_application_of_before(
    serve: Serve, tmp_path: Path
) -> None:
    conf = tmp_path / "gunicorn.conf.py"
    files = {conf.name: "wsgi_app = 'app:app'\n", "other.py": "1 / 0\n"}
    server = serve(app=None, files=files)
    old = server.wait_serving(2)
    conf.write_text("wsgi_app = 'other:app'\n")
    call_off(server)
    os.kill(old[0], signal.SIGKILL)
    server.until(lambda: old[0] not in server.workers(), "the end of a worker")
    assert old[1] in server.wait_serving(2)
    assert server.get("/").text == "hello"


@pytest.mark.parametrize("more", [True, False])
def test_the_number_of_workers_is_that_of_before(serve: Serve, tmp_path: Path, more: bool) -> None:
    """Which TTIN and TTOU had changed."""
    server = serve("-w", "3", files={"app.py": HELLO})
    server.wait_serving(3)
    server.send_signal(signal.SIGTTIN if more else signal.SIGTTOU)
    server.wait_serving(4 if more else 2)
    (tmp_path / "app.py").write_text("1 / 0\n")
    call_off(server)
    server.send_signal(signal.SIGTTOU if more else signal.SIGTTIN)
    (tmp_path / "app.py").write_text(HELLO)
    server.wait_serving(3)
    server.send_signal(signal.SIGTTOU)
    server.wait_serving(2)


@pytest.mark.alone
def test_the_delay_after_failures_is_not_that_of_the_next_reload(
    serve: Serve, tmp_path: Path
) -> None:
    """What failed may be mended by now: the new workers are not to wait."""
    server = serve("-w", "2", "-c", "conf.py", files={"conf.py": FAILS_WHEN_TOLD})
    (worker, _) = server.wait_serving(2)
    (tmp_path / "broken").touch()
    server.process.send_signal(signal.SIGTTIN)
    server.wait_for("next attempt in 3.2 s", 30)
    failed = time.monotonic()
    (tmp_path / "broken").unlink()
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    assert time.monotonic() - failed < 3.0
    assert worker not in server.wait_workers(2)
