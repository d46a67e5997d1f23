"""Copies of a worker that an application forks: they are no worker, and harm none."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.copies import APP
from tests.servers import Server, alive, started_in_test
from tests.worker_classes import WORKER_CLASSES

Copying = Callable[..., Server]

classes = pytest.mark.parametrize("worker_class", WORKER_CLASSES)
parsers = pytest.mark.parametrize("parser", ["fast", "python"])

WAYS = {
    "execs": 1,
    "raises": 1,
    "raises-no-exception": 130,
    "exits": 7,
    "exits-hard": 8,
    "sleeps": 9,
    "forks-again": 10,
    "returns": 0,
    "writes": 1,
    "prints": 0,
}
"""What a copy does, and the exit code that comes of it."""


@pytest.fixture
def copying(tmp_path: Path) -> Iterator[Copying]:
    with started_in_test() as servers:

        def start(worker_class: str, *args: str, **files: str) -> Server:
            server = Server(
                "app:app", *WORKER_CLASSES[worker_class], "--access-logfile", "access.log", *args,
                cwd=tmp_path, files={"app.py": APP, **files},
            )  # fmt: skip
            servers.append(server)
            return server

        yield start


def serving(server: Server, worker_class: str) -> list[int]:
    """The workers, as soon as each of them serves."""
    return server.wait_serving(2 if worker_class == "sync-siblings" else 1)


def child_of(server: Server) -> int:
    """The process that the application has made, as soon as it runs."""
    file = server.cwd / "child"
    return int(server.until(lambda: file.exists() and file.read_text()))


def answer_of(client: socket.socket) -> str:
    """What comes until the response has the length that it announces."""
    received = ""
    while True:
        piece = client.recv(65536).decode()
        received += piece
        head, end, body = received.partition("\r\n\r\n")
        length = re.search(r"(?i)^content-length: (\d+)", head, re.MULTILINE)
        if not piece or (end and length is not None and len(body) >= int(length[1])):
            return received


def worker_of(text: str) -> int:
    match = re.match(r"worker (\d+) ", text)
    assert match is not None, text
    return int(match[1])


def assert_serving(server: Server, workers: list[int]) -> None:
    """The same workers serve whoever comes, nobody else is there, and no connection hangs."""
    server.until(
        lambda: sorted(server.leftovers()) == sorted([server.pid, *workers]), "the copies' end"
    )
    for _ in range(10):
        assert worker_of(server.get("/", timeout=5).text) in workers
    assert server.workers() == workers


@classes
@parsers
def test_a_copy_that_comes_back_ends_and_the_service_goes_on(
    copying: Copying, worker_class: str, parser: str, tmp_path: Path
) -> None:
    server = copying(worker_class, "--http-parser", parser)
    workers = serving(server, worker_class)
    with server.connect() as client:
        for way, code in WAYS.items():
            request = f"GET /fork/{way} HTTP/1.1\r\nHost: a\r\n\r\n"
            client.sendall(request.encode())
            answer = answer_of(client)
            # Once, whole, and by the worker; the next on this connection will be, too.
            assert answer.count("HTTP/1.1 ") == 1, answer
            head, _, body = answer.partition("\r\n\r\n")
            assert head.startswith("HTTP/1.1 200 OK")
            assert worker_of(body) in workers
            assert body.split()[-1] == str(code), way
    assert_serving(server, workers)
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    assert worker_of(server.get("/", timeout=5).text) not in workers
    assert server.stop() == 0
    log = server.log()
    assert log.count("LookupError: in the copy\n") == 1
    assert log.count("FileNotFoundError") == 1
    assert "came back from the application" in log
    assert "Parent changed" not in log
    assert "printed by the copy" in log
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert sum("/fork/" in line for line in lines) == len(WAYS)


@classes
@parsers
@pytest.mark.parametrize("place", ["", "?close"])
def test_a_copy_made_in_a_generator_ends_as_well(
    copying: Copying, worker_class: str, parser: str, place: str
) -> None:
    server = copying(worker_class, "--http-parser", parser)
    workers = serving(server, worker_class)
    for way in ("raises", "returns", "exits"):
        assert worker_of(server.get(f"/generator/{way}{place}").text) in workers
    assert_serving(server, workers)


@classes
def test_a_copy_made_in_a_hook_ends_as_well(
    copying: Copying, worker_class: str, tmp_path: Path
) -> None:
    hooks = """\
import os

def fork_and_return(*args):
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)

post_fork = post_worker_init = pre_request = post_request = worker_exit = fork_and_return
"""
    server = copying(worker_class, **{"gunicorn.conf.py": hooks})
    workers = serving(server, worker_class)
    assert_serving(server, workers)
    assert server.stop() == 0
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert len(lines) >= 10
    assert server.log().count("Booting worker") == len(workers)


@classes
@pytest.mark.parametrize("way", ["pass", "sys.exit(2)", "raise LookupError('at import')"])
@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_a_copy_made_at_import_ends_as_well(
    copying: Copying, worker_class: str, way: str, preload: tuple[str, ...]
) -> None:
    source = f"{APP}\nif os.fork() == 0:\n    print('imported', flush=True)\n    {way}\n"
    server = copying(worker_class, *preload, **{"app.py": source})
    count = 2 if worker_class == "sync-siblings" else 1
    others = 1 + len(preload)
    server.until(lambda: len(server.leftovers()) == count + others, "the copies' end")
    for _ in range(10):
        assert server.get("/").status == 200
    server.wait_for("^imported")
    assert server.stop() == 0
    if way == "pass":
        assert "came back from the application" in server.log()


@classes
def test_children_of_multiprocessing_end_by_signals(copying: Copying, worker_class: str) -> None:
    server = copying(worker_class)
    workers = serving(server, worker_class)
    assert server.get("/multiprocessing/terminate").text.endswith(" -15")
    if worker_class != "eventlet":
        # There no child of multiprocessing that a green thread has made ends by itself.
        assert server.get("/multiprocessing/raise").text.endswith(" 1")
    if worker_class not in {"gevent", "eventlet"}:
        # The threads of a pool wait for pipes, which green threads cannot.
        assert server.get("/multiprocessing/pool").text.endswith(" [1, 2]")
    assert_serving(server, workers)


@classes
@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_finds_children_as_well(
    copying: Copying, worker_class: str, signum: int, tmp_path: Path
) -> None:
    server = copying(worker_class)
    assert server.get("/multiprocessing/work").status == 200
    child = child_of(server)
    os.killpg(server.pid, signum)
    server.until(lambda: not alive(child), "the end of the child")
    if signum == signal.SIGHUP:
        server.wait_for("Reload done")
        for _ in range(10):
            assert server.get("/", timeout=5).status == 200
        assert server.stop() == 0
    assert server.wait() == 0
    assert "Parent changed" not in server.log()


@classes
def test_a_child_that_lives_on_keeps_neither_clients_nor_the_port(
    copying: Copying, worker_class: str, tmp_path: Path
) -> None:
    server = copying(worker_class)
    server.raw(b"GET /daemon/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    child = child_of(server)
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    assert alive(child)
    with socket.create_server(("127.0.0.1", server.port)):
        os.kill(child, signal.SIGTERM)
    server.until(lambda: not alive(child), "the end of the child")


@classes
def test_programs_are_started_as_ever(copying: Copying, worker_class: str) -> None:
    server = copying(worker_class)
    workers = serving(server, worker_class)
    for way in ("plain", "preexec"):
        assert "Handlers.SIG_DFL" in server.get(f"/program/{way}").text
    assert_serving(server, workers)


BESIDE = """\
import os, pathlib, time

def wait_for(name):
    while not pathlib.Path(name).exists():
        time.sleep(0.05)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/waits":
        pathlib.Path("waiting").touch()
        wait_for("go")
    elif path == "/forks" and os.fork() == 0:
        pathlib.Path("child").write_text(str(os.getpid()))
        wait_for("go")
        time.sleep(0.5)
        pathlib.Path("done").touch()
        os._exit(0)
    body = f"worker {os.getpid()} ".encode()
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Worker", str(os.getpid()))])
    return [body]
"""


@pytest.mark.parametrize("worker_class", ["gthread", "gevent", "eventlet"])
def test_requests_beside_a_fork_are_answered_once_and_the_copy_goes_on(
    copying: Copying, worker_class: str, tmp_path: Path
) -> None:
    server = copying(worker_class, **{"app.py": BESIDE})
    workers = serving(server, worker_class)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(server.get, "/waits")
        server.until((tmp_path / "waiting").exists)
        assert worker_of(server.get("/forks").text) in workers
        child = child_of(server)
        (tmp_path / "go").touch()
        assert worker_of(waits.result().text) in workers
    server.until(lambda: not alive(child), "the end of the child")
    assert (tmp_path / "done").exists()
    assert_serving(server, workers)
    assert server.stop() == 0
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert sum("/waits" in line for line in lines) == 1
    assert "has forked from" not in server.log()


ASGI = """\
import asyncio, os, sys, time, multiprocessing

def nap(seconds):
    time.sleep(seconds)

def copy(way):
    if way == "execs":
        os.execv("/no/such/tool", ["x"])
    elif way == "exits":
        sys.exit(7)
    elif way == "sleeps":
        time.sleep(1)
        os._exit(9)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    way = scope["path"][1:]
    code = ""
    if way == "terminate":
        process = multiprocessing.get_context("fork").Process(target=nap, args=(60,))
        process.start()
        process.terminate()
        process.join()
        code = process.exitcode
    elif way:
        pid = os.fork()
        if pid:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        else:
            copy(way)
    body = f"worker {os.getpid()} {code}".encode()
    own, size = str(os.getpid()).encode(), str(len(body)).encode()
    fields = [(b"content-length", size), (b"x-worker", own)]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})
"""


def test_copies_of_a_worker_of_a_third_party_end_as_well(tmp_path: Path) -> None:
    options = ("--worker-class", "uvicorn_worker.UvicornWorker")
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": ASGI}) as server:
        workers = server.wait_serving(1)
        with server.connect() as client:
            for way in ("execs", "exits", "sleeps", "returns", "terminate"):
                client.sendall(f"GET /{way} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                answer = answer_of(client)
                assert answer.count("HTTP/1.1 ") == 1, answer
                body = answer.partition("\r\n\r\n")[2]
                assert worker_of(body) in workers, way
                if way in {"sleeps", "terminate"}:
                    assert body.endswith({"sleeps": " 9", "terminate": " -15"}[way])
        assert_serving(server, workers)
        assert server.stop() == 0
