"""Applications that hold what only one process can have: the old worker is stopped first."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.faults.conftest import Serve
from tests.servers import Server, alive

LOCKED = """\
import fcntl, os
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
loaded = os.getpid()
hoard = []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/grow":
        hoard.append(b"x" * 150_000_000)
    body = f"{loaded} {os.getpid()} VERSION".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
CLASSES = {
    "sync": (),
    "gthread": ("-k", "gthread", "--threads", "2"),
    "gevent": ("-k", "gevent"),
    "eventlet": ("-k", "eventlet"),
    "tornado": ("-k", "tornado"),
}
CLASS = pytest.mark.parametrize("options", CLASSES.values(), ids=CLASSES)


def answer(server: Server, path: str = "/") -> tuple[int, int, str]:
    found = re.fullmatch(r"(\d+) (\d+) (\w+)", server.get(path).text)
    assert found
    return int(found[1]), int(found[2]), found[3]


def after(server: Server, pid: int) -> int:
    """The worker that answers after `pid`, which is asked for requests until then."""
    found = 0

    def another() -> bool:
        nonlocal found
        try:
            found = answer(server)[1]
        except (OSError, AssertionError):
            return False
        return found != pid

    server.until(another, "the successor")
    return found


@CLASS
def test_max_requests_replaces_who_is_in_the_way(serve: Serve, options: tuple[str, ...]) -> None:
    """After two successors that could not boot; and then at once, for as long as it helps."""
    server = serve("-w", "1", "--max-requests", "5", *options, files={"app.py": LOCKED})
    first = answer(server)[1]
    second = after(server, first)
    server.wait_for(f"2 successors of worker {first} failed to boot: it is stopped before the next")
    failures = server.log().count("failed to boot (code 3)")
    assert failures == 2
    third = after(server, second)
    after(server, third)
    assert server.log().count("failed to boot (code 3)") == failures
    server.stop()


@pytest.mark.alone
def test_a_worker_that_has_grown_is_replaced_so_too(serve: Serve) -> None:
    server = serve("-w", "1", "--worker-max-memory", "150MB", files={"app.py": LOCKED})
    first = answer(server, "/grow")[1]
    after(server, first)
    server.wait_for(f"2 successors of worker {first} failed to boot")


def test_no_worker_is_stopped_for_a_successor_that_fails_anyway(
    serve: Serve, tmp_path: Path
) -> None:
    """Of several that are worn one is given up, and the others serve on."""
    source = LOCKED.replace("fcntl.flock", "#").replace("VERSION", "first")
    server = serve("-w", "3", "--max-requests", "3", files={"app.py": source})
    workers = server.wait_workers(3)
    (tmp_path / "app.py").write_text("1 / 0\n")

    def given_up() -> bool:
        answer(server)
        return len([pid for pid in workers if alive(pid)]) == 2

    server.until(given_up, "the end of one")
    server.wait_for("failed to boot", count=6)
    for _ in range(20):
        assert answer(server)[2] == "first"
    assert len([pid for pid in workers if alive(pid)]) == 2
    (tmp_path / "app.py").write_text(source.replace("first", "second"))
    server.until(lambda: not any(map(alive, workers)), "the others, once successors boot")
    assert answer(server)[2] == "second"


@CLASS
@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
def test_a_reload_stops_first(
    serve: Serve, tmp_path: Path, options: tuple[str, ...], preload: tuple[str, ...]
) -> None:
    """Clients that come meanwhile wait at the listener."""
    files = {"app.py": LOCKED.replace("VERSION", "first")}
    server = serve("-w", "1", "--reload-surge", "0", *options, *preload, files=files)
    loaded, worker, version = answer(server)
    assert version == "first"
    (tmp_path / "app.py").write_text(LOCKED.replace("VERSION", "second"))
    server.send_signal(signal.SIGHUP)
    server.until(lambda: not alive(worker), "the end of the old worker")
    assert answer(server)[2] == "second"
    server.wait_for("Reload done")
    assert "called off" not in server.log()
    assert not alive(loaded)


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
def test_a_reload_that_stops_first_is_called_off_and_tried_again(
    serve: Serve, tmp_path: Path, preload: tuple[str, ...]
) -> None:
    files = {"app.py": LOCKED.replace("VERSION", "first")}
    server = serve("-w", "1", "--reload-surge", "0", *preload, files=files)
    worker = answer(server)[1]
    (tmp_path / "app.py").write_text("1 / 0\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload called off")
    server.wait_for("next attempt in|is started when one is needed")
    assert not alive(worker)
    (tmp_path / "app.py").write_text(LOCKED.replace("VERSION", "mended"))
    assert answer(server)[2] == "mended", "without another signal"


def test_one_after_the_other(serve: Serve) -> None:
    """With several workers the others serve meanwhile, and there is never one more."""
    source = LOCKED.replace("fcntl.flock", "#")
    conf = """\
import os
def post_fork(server, worker):
    with open("counts", "a") as file:
        alive = [pid for pid in server.WORKERS if os.path.exists(f"/proc/{pid}")]
        print(len(alive), file=file)
"""
    files = {"app.py": source, "gunicorn.conf.py": conf}
    server = serve("-w", "3", "--reload-surge", "0", files=files)
    before = server.wait_workers(3)
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    counts = (server.cwd / "counts").read_text().split()
    assert counts[3:] == ["2", "2", "2"], "what there is beside the new one"
    assert not set(before) & set(server.workers())
    for pid in server.workers():
        os.kill(pid, 0)
