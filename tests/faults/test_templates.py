"""Preloading in a template process: reloaded, called off, shared, and taken from a worker."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.faults.conftest import Serve
from tests.faults.load import Load
from tests.servers import Server, alive, free_port

VERSION = """\
import os
loaded = os.getpid()
hoard = []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/warm":
        hoard.append(os.getpid())
    body = f"{loaded} {os.getpid()} {hoard} VERSION".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def answer(server: Server, path: str = "/") -> tuple[int, int, str, str]:
    found = re.fullmatch(r"(\d+) (\d+) (\[.*\]) (\w+)", server.get(path).text)
    assert found
    return int(found[1]), int(found[2]), found[3], found[4]


def test_preloaded_code_is_reloaded(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "2", "--preload", files={"app.py": VERSION})
    server.wait_workers(3)
    first, worker, _, version = answer(server)
    assert (version, first != worker) == ("VERSION", True)
    (tmp_path / "app.py").write_text(VERSION.replace("VERSION", "second"))
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    second, _, _, version = answer(server)
    assert (version, second != first) == ("second", True)
    server.until(lambda: not alive(first), "the end of the old template")


def test_after_a_reload_that_was_called_off_the_old_template_serves_on(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve("-w", "2", "--preload", files={"app.py": VERSION})
    before = server.wait_workers(3)
    template, worker, _, _ = answer(server)
    (tmp_path / "app.py").write_text("1 / 0\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload called off: .* The old generation goes on serving")
    assert "ZeroDivisionError" in server.log()
    assert server.wait_workers(3) == before
    os.kill(worker, signal.SIGKILL)
    server.until(lambda: worker not in server.workers(), "the end of the worker")
    server.wait_workers(3)
    for _ in range(10):
        loaded, pid, _, version = answer(server)
        assert (loaded, version, pid != worker) == (template, "VERSION", True)
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload called off", count=2)
    assert answer(server)[3] == "VERSION"


@pytest.mark.slow
def test_a_template_that_is_killed_is_replaced(serve: Serve) -> None:
    server = serve("-w", "1", "--preload", files={"app.py": VERSION})
    server.wait_workers(2)
    template, worker, _, _ = answer(server)
    os.kill(template, signal.SIGKILL)
    server.wait_for(r"The template process \(pid:\d+\) ended with SIGKILL; the workers go on")
    assert answer(server)[1] == worker
    os.kill(worker, signal.SIGKILL)
    server.until(lambda: worker not in server.workers(), "the end of the worker")
    server.wait_workers(2)
    assert answer(server)[0] != template


def test_hooks_keep_their_order_and_arguments(serve: Serve) -> None:
    hooks = (
        "import os\n"
        "def pre_fork(server, worker):\n"
        "    print('pre', os.getpid(), server.pid, worker.age, flush=True)\n"
        "def post_fork(server, worker):\n"
        "    print('post', os.getpid(), server.pid, worker.age, os.getppid(), flush=True)\n"
    )
    server = serve("-w", "2", "--preload", files={"app.py": VERSION, "gunicorn.conf.py": hooks})
    server.wait_workers(3)
    template = answer(server)[0]
    server.wait_for("post", count=2)
    pid = server.pid
    lines = re.findall(r"^(?:pre|post) .*$", server.log(), re.MULTILINE)
    assert {f"pre {template} {pid} 1", f"pre {template} {pid} 2"} <= set(lines)
    posts = [line.split() for line in lines if line.startswith("post")]
    assert sorted((post[2], post[3], post[4]) for post in posts) == [
        (str(pid), "1", str(pid)),
        (str(pid), "2", str(pid)),
    ]
    for age in "12":
        order = [line.split()[0] for line in lines if line.split()[3] == age]
        assert order == ["pre", "post"]


@pytest.mark.slow
def test_a_new_worker_that_ends_leaves_alone_what_is_the_arbiters(
    serve: Serve, tmp_path: Path
) -> None:
    """It was a copy of the arbiter in the middle of the reload that it was forked for."""
    conf = """\
import os
def nworkers_changed(server, new, old):
    with open("changes", "a") as file:
        print(os.getpid(), new, old, file=file)
"""
    port = free_port()
    files = {"app.py": VERSION, "gunicorn.conf.py": f"{conf}bind = '127.0.0.1:{port}'\n"}
    options = {"bind": "", "address": ("127.0.0.1", port), "files": files}
    server = serve("-w", "2", "--preload", **options)
    server.wait_workers(3)
    (tmp_path / "gunicorn.conf.py").write_text(
        f"{conf}bind = ['127.0.0.1:{port}', 'unix:added.sock']\n"
    )
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    worker = answer(server)[1]
    os.kill(worker, signal.SIGTERM)
    server.until(lambda: not alive(worker), "the end of a worker")
    server.wait_for("Booting worker", count=5)
    assert (tmp_path / "added.sock").exists()
    changes = [line.split() for line in (tmp_path / "changes").read_text().splitlines()]
    assert changes == [[str(server.pid), "2", "None"], [str(server.pid), "2", "2"]]


def test_logs_are_reopened_in_the_template_too(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "1", "--preload", "--error-logfile", "error.log")
    server.wait_workers(2)
    log = tmp_path / "error.log"
    log.rename(tmp_path / "rotated.log")
    server.send_signal(signal.SIGUSR1)
    server.until(log.exists, "the new log")
    os.kill(server.workers()[-1], signal.SIGKILL)
    server.until(lambda: "Booting worker" in log.read_text(), "a new worker in the new log")


def test_where_orphans_cannot_be_adopted_the_arbiter_preloads(serve: Serve, tmp_path: Path) -> None:
    """As on systems without PR_SET_CHILD_SUBREAPER, which the configuration pretends here."""
    conf = (
        "from gunicorn.arbiter import preload, requirements\n"
        "preload.become_subreaper = requirements.become_subreaper = lambda: False\n"
    )
    files = {"app.py": VERSION, "gunicorn.conf.py": conf}
    server = serve("-w", "2", "--preload", files=files)
    server.wait_for("The application is preloaded in the master, .*: reloads will not change its")
    server.wait_workers(2)
    assert answer(server)[0] == server.pid
    (tmp_path / "app.py").write_text("1 / 0\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    loaded, _, _, version = answer(server)
    assert (loaded, version) == (server.pid, "VERSION")
    refused = serve("--refork-after", "5", files=files, wait=False)
    assert refused.wait() == 1
    refused.wait_for(r"refork_after = 5 \(flag --refork-after\): needs Linux")


def test_nothing_outlives_an_arbiter_that_is_killed(serve: Serve) -> None:
    server = serve("-w", "2", "--preload", "--refork-after", "1000")
    server.wait_workers(3)
    server.process.kill()
    server.wait()
    server.assert_nothing_left(timeout=5)


def test_refork_shares_what_a_worker_has_filled(serve: Serve) -> None:
    server = serve("-w", "2", "--refork-after", "30", files={"app.py": VERSION})
    server.wait_workers(2)
    warm = answer(server, "/warm")[1]
    with_cache = 0

    def reforked() -> bool:
        answer(server, "/warm")
        return "Refork: process" in server.log()

    server.until(reforked, "the refork")
    found = re.search(r"Refork: process (\d+), a copy of worker (\d+)", server.log())
    assert found
    template, original = int(found[1]), int(found[2])
    server.until(lambda: len(server.workers()) == 3 and template in server.workers(), "the others")
    server.wait_for(r"Booting worker with pid", count=3)
    server.until(lambda: "Worker exiting" in server.log(), "the end of the other worker")
    for _ in range(20):
        _, pid, hoard, _ = answer(server)
        assert str(original) in hoard, "the cache of the worker that was copied"
        with_cache += pid != original
    assert with_cache, "one of the two is new"
    assert warm > 0


@pytest.mark.slow
def test_refork_under_load(serve: Serve) -> None:
    server = serve("-w", "2", "--preload", "--refork-after", "100")
    with Load(server) as load:
        load.settle(0.3)
        server.wait_for("Refork: process")
        server.wait_for("Worker exiting")
        load.go_on(0.5)
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload done")
        server.wait_for("Refork: process", count=2)
        load.go_on(0.5)
    load.report("refork, reload, refork")
    assert load.failures == []


def test_refork_is_refused_where_workers_cannot_be_copied(serve: Serve) -> None:
    server = serve("--refork-after", "5", "-k", "gthread", wait=False)
    assert server.wait() == 1
    assert "): workers of the class gthread cannot be copied" in server.log()
