"""The end of a template: what the application has made in it ends in good order, and in time."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Serve
from tests.servers import Server, alive, processes

APP = """\
import atexit, os, time
loaded = os.getpid()

def goodbye():
    with open("ended", "a") as file:
        print(os.getpid(), file=file)

atexit.register(goodbye)
EXTRA

def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        open("begun", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.02)
    body = f"{loaded} {os.getpid()} {used()}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
PLAIN = "def used():\n    return 0\n"
MANAGER = """\
import multiprocessing
manager = multiprocessing.Manager()
shared = manager.dict()

def used():
    shared[os.getpid()] = True
    return manager._process.pid
"""
CLASSES = {
    "sync": (),
    "gthread": ("-k", "gthread", "--threads", "2"),
    "gevent": ("-k", "gevent"),
    "eventlet": ("-k", "eventlet"),
    "tornado": ("-k", "tornado"),
}


def files(extra: str = PLAIN, conf: str = "") -> dict[str, str]:
    return {"app.py": APP.replace("EXTRA", extra), "gunicorn.conf.py": conf}


def answer(server: Server, path: str = "/") -> tuple[int, int, int]:
    loaded, pid, manager = map(int, server.get(path).text.split())
    return loaded, pid, manager


def ended(folder: Path) -> set[int]:
    path = folder / "ended"
    return set(map(int, path.read_text().split())) if path.exists() else set()


def reload_it(server: Server, _folder: Path) -> None:
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")


def stop_it(signum: int) -> Callable[[Server, Path], None]:
    def stop(server: Server, _folder: Path) -> None:
        assert server.stop(signum) == 0

    return stop


def kill_the_arbiter(server: Server, _folder: Path) -> None:
    server.process.kill()
    server.wait()
    server.assert_nothing_left(timeout=20)


def signal_the_group(server: Server, _folder: Path) -> None:
    """As service managers do that know no better."""
    os.killpg(server.pid, signal.SIGTERM)
    assert server.wait() == 0


def end_the_template(server: Server, _folder: Path) -> None:
    """An operator, who has mistaken it for something else; its workers serve on."""
    loaded, pid, _ = answer(server)
    os.kill(loaded, signal.SIGTERM)
    server.until(lambda: not listens(loaded), "no listener in the template")
    assert answer(server)[1] == pid
    os.kill(pid, signal.SIGTERM)
    server.until(lambda: not alive(loaded), "the end of the template")
    server.until(lambda: answer(server)[0] != loaded, "another template")


def listens(pid: int) -> bool:
    """Whether a process has a listening socket."""
    listening = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()
        if line.split()[3] == "0A"
    }
    try:
        descriptors = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return False
    return any(re.sub(r"socket:\[(\d+)\]", r"\1", each) in listening for each in descriptors)


WAYS: dict[str, Callable[[Server, Path], None]] = {
    "a reload": reload_it,
    "TERM": stop_it(signal.SIGTERM),
    "INT": stop_it(signal.SIGINT),
    "QUIT": stop_it(signal.SIGQUIT),
    "a killed arbiter": kill_the_arbiter,
    "TERM to the group": signal_the_group,
    "TERM to the template": end_the_template,
}


@pytest.mark.parametrize("options", CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_exit_handlers_of_the_template_run(
    serve: Serve, tmp_path: Path, way: Callable[[Server, Path], None], options: tuple[str, ...]
) -> None:
    server = serve("-w", "1", "--preload", *options, files=files())
    loaded = answer(server)[0]
    way(server, tmp_path)
    server.until(lambda: loaded in ended(tmp_path), "the exit handler")
    server.until(lambda: not alive(loaded), "the end of the template")


@pytest.mark.parametrize("options", [(), ("-k", "gthread", "--threads", "2")])
@pytest.mark.parametrize("way", ["a reload", "TERM", "INT", "a killed arbiter"])
def test_processes_of_the_template_end_with_it(
    serve: Serve, tmp_path: Path, way: str, options: tuple[str, ...]
) -> None:
    server = serve("-w", "2", "--preload", *options, files=files(MANAGER))
    loaded, _, manager = answer(server)
    WAYS[way](server, tmp_path)
    server.until(lambda: not alive(loaded), "the end of the template")
    server.until(lambda: not alive(manager), "the end of its manager")


@pytest.mark.parametrize("way", ["a reload", "TERM", "a killed arbiter"])
def test_a_request_in_progress_may_use_what_the_template_has_made(
    serve: Serve, tmp_path: Path, way: str
) -> None:
    server = serve("-w", "1", "--preload", files=files(MANAGER))
    loaded, _, manager = answer(server)
    with server.connect() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        server.until((tmp_path / "begun").exists, "a request in progress")
        if way == "a reload":
            reload_it(server, tmp_path)
            assert answer(server)[0] != loaded
        elif way == "TERM":
            server.send_signal(signal.SIGTERM)
            server.wait_for("Handling signal: term")
        else:
            server.process.kill()
            server.wait()
        server.until(lambda: not listens(loaded), "no listener in the template")
        (tmp_path / "go").touch()
        response = b"".join(iter(lambda: client.recv(4096), b""))
    assert response.startswith(b"HTTP/1.1 200 OK")
    assert response.endswith(b" %d" % manager)
    server.until(lambda: not alive(loaded) and not alive(manager), "the end of both")


def test_running_jobs_are_waited_for(serve: Serve, tmp_path: Path) -> None:
    """As those of schedulers, which are joined when the interpreter ends."""
    job = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def work():\n"
        "    while not os.path.exists('go'):\n"
        "        time.sleep(0.02)\n"
        "    open('finished', 'w').close()\n"
        "ThreadPoolExecutor(1).submit(work)\n"
    )
    server = serve("-w", "1", "--preload", files=files(PLAIN + job))
    loaded, worker, _ = answer(server)
    server.send_signal(signal.SIGTERM)
    server.until(lambda: not alive(worker), "the end of the worker")
    assert alive(loaded)
    (tmp_path / "go").touch()
    assert server.wait() == 0
    assert (tmp_path / "finished").exists()


def test_the_template_of_a_reload_that_is_called_off_ends_too(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "1", "--preload", files=files(MANAGER))
    loaded, _, manager = answer(server)
    (tmp_path / "gunicorn.conf.py").write_text("def post_fork(server, worker):\n    1 / 0\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload called off")
    server.until(lambda: ended(tmp_path) - {loaded}, "the exit handler of the new one")
    server.wait_workers(2)
    assert answer(server)[0] == loaded
    managers = [each.pid for each in processes() if each.session == server.pid]
    assert len(managers) == 4, "arbiter, template, its manager, worker"
    assert manager in managers


def test_a_template_is_ended_while_it_loads(serve: Serve, tmp_path: Path) -> None:
    slow = "open('loading', 'w').close()\nwhile not os.path.exists('go'): time.sleep(0.02)\n"
    server = serve("-w", "1", "--preload", files=files(PLAIN + slow))
    server.until((tmp_path / "loading").exists, "a template that loads")
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    assert ended(tmp_path), "its exit handler"
    assert "ERROR" not in server.log()


def test_refork_keeps_what_the_application_has_made(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "2", "--preload", "--refork-after", "10", files=files(MANAGER))
    loaded, _, manager = answer(server)

    def reforked() -> bool:
        answer(server)
        return "Refork: process" in server.log()

    server.until(reforked, "the refork")
    copy = int(server.wait_for(r"Refork: process (\d+)")[1])
    server.wait_for("Worker exiting")
    for _ in range(10):
        assert answer(server)[2] == manager
    assert alive(loaded)
    reload_it(server, tmp_path)
    for pid in (loaded, copy, manager):
        server.until(lambda pid=pid: not alive(pid), "the end of both templates")  # type: ignore[misc]
    assert {loaded, copy} <= ended(tmp_path)


def test_a_template_that_does_not_end_is_killed(serve: Serve) -> None:
    stuck = "def stay():\n    if os.getpid() == loaded: time.sleep(600)\natexit.register(stay)\n"
    options = ("-w", "1", "--preload", "--graceful-timeout", "1")
    server = serve(*options, files=files(PLAIN + stuck))
    loaded, _, _ = answer(server)
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    assert alive(loaded)
    second, worker, _ = answer(server)
    os.kill(worker, signal.SIGKILL)
    server.until(lambda: answer(server)[1] != worker, "the loop goes on meanwhile")
    server.wait_for(
        rf"Killing template process {loaded}: it did not end within 1 s \(graceful_timeout\)"
    )
    server.until(lambda: not alive(loaded), "the end of the template")
    assert server.stop() == 0
    assert not alive(second)


def test_child_exit_is_called_for_templates_as_well(serve: Serve, tmp_path: Path) -> None:
    """prometheus_client removes the files of a process there."""
    conf = """\
def child_exit(server, worker):
    with open("gone", "a") as file:
        print(worker.pid, worker.age, file=file)
"""
    server = serve("-w", "1", "--preload", files=files(conf=conf))
    first, worker, _ = answer(server)
    reload_it(server, tmp_path)
    second, successor, _ = answer(server)
    server.until(lambda: not alive(first), "the end of the first template")
    assert server.stop() == 0
    lines = (tmp_path / "gone").read_text().split("\n")
    assert set(lines[:-1]) == {f"{first} 0", f"{worker} 1", f"{second} 0", f"{successor} 2"}
    assert len(lines) == 5


def test_a_template_that_is_slow_to_fork_holds_nobody_up(serve: Serve, tmp_path: Path) -> None:
    conf = """\
import os, time
def pre_fork(server, worker):
    while worker.age == 2 and not os.path.exists("go"):
        time.sleep(0.02)
"""
    server = serve("-w", "1", "--preload", files=files(conf=conf))
    answer(server)
    server.send_signal(signal.SIGTTIN)
    server.wait_for("Handling signal: ttin")
    server.send_signal(signal.SIGUSR1)
    server.wait_for("Handling signal: usr1")
    (tmp_path / "go").touch()
    server.wait_workers(3)
    server.wait_for("Booting worker", count=2)


@pytest.mark.slow
def test_a_template_that_never_forks_is_replaced(serve: Serve, tmp_path: Path) -> None:
    conf = """\
import os, time
def pre_fork(server, worker):
    if worker.age == 2:
        time.sleep(600)
"""
    server = serve("-w", "1", "--preload", files=files(conf=conf))
    loaded = answer(server)[0]
    server.send_signal(signal.SIGTTIN)
    server.wait_for(rf"Killing template process {loaded}: it did not fork a worker")
    server.wait_for("Booting worker", count=2)
    assert server.stop() == 0
