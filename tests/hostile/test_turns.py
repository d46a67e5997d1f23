"""No client has a worker to itself, however much it sends and however little of it is content."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import write_pair
from tests.hostile.measure import ROOT, fast_requests
from tests.integration.conftest import Serve
from tests.integration.wire import chunked, render, wire
from tests.servers import Server
from tests.worker_classes import WORKER_CLASSES

APP = """\
import time

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.005)
    answer = b"%d %s" % (len(body), environ["QUERY_STRING"].encode())
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""

CLASSES = {**WORKER_CLASSES, "gthread-1": ("--worker-class", "gthread", "--threads", "1")}
"""With one thread the guard leads while it is in the application."""

BOUND = 0.1
"""Seconds that a request may take at most while others flood the server."""


@pytest.fixture(params=["plain", "tls"])
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def start(serve: Serve, folder: Path, worker_class: str, transport: str, **env: str) -> Server:
    args = [*CLASSES[worker_class], "--keep-alive", "30"]
    tls = None
    if transport == "tls":
        certfile, keyfile = write_pair(folder, "server")
        args += ["--certfile", certfile, "--keyfile", keyfile]
        tls = ssl.create_default_context(cafile=certfile)
    server = serve(APP, *args, tls=tls, env=env)
    assert server.get("/").status == 200
    return server


@contextlib.contextmanager
def flood(server: Server, kind: str, count: int, transport: str) -> Iterator[dict[str, int]]:
    """Flood `server`; what became of the clients is in the dictionary afterwards."""
    ends: dict[str, int] = {}
    command = [sys.executable, "-m", "tests.hostile.flood", str(server.port), kind, str(count)]
    process = subprocess.Popen(
        [*command, transport], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield ends
        out, _ = process.communicate("", timeout=60)
        ends.update(json.loads(out))
    finally:
        process.kill()
        process.communicate()


def assert_served(server: Server) -> None:
    """The best of three times is what the server does; what else runs here only adds to that."""
    worst = []
    for _ in range(3):
        service = fast_requests(server, 30)
        print(service)
        assert service.failures == 0
        worst.append(service.worst)
        if service.worst < BOUND:
            return
    raise AssertionError(f"requests that took {worst} s")


@pytest.mark.alone
@pytest.mark.parametrize("worker_class", CLASSES)
def test_floods_of_tiny_chunks_hold_up_nobody(
    serve: Serve, tmp_path: Path, worker_class: str, transport: str
) -> None:
    """60 clients that send a byte in each chunk, without end, and are refused one after another."""
    server = start(serve, tmp_path, worker_class, transport)
    with flood(server, "chunks", 60, transport) as ends:
        assert_served(server)
        server.wait_for(r"Invalid request from ip=127\.0\.0\.1: Chunks are too small")
        with wire(server) as client:
            client.send(render("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked"))
            client.send(chunked([b"x"] * 50_000))
            assert client.answer().body == b"50000 ", "small chunks are nothing bad in themselves"
    print(ends)
    assert "WORKER TIMEOUT" not in server.log()


@pytest.mark.alone
@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gthread-1", "gevent"])
def test_floods_of_tiny_chunks_hold_up_nobody_without_the_compiled_modules(
    serve: Serve, tmp_path: Path, worker_class: str
) -> None:
    server = start(
        serve, tmp_path, worker_class, "plain",
        GUNICORN_PURE_PYTHON="1", GUNICORN_CMD_ARGS="--graceful-timeout 5",
    )  # fmt: skip
    with flood(server, "chunks", 60, "plain"):
        assert_served(server)
    assert "WORKER TIMEOUT" not in server.log()


@pytest.mark.alone
@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent"])
def test_floods_of_chunks_that_are_not_refused_hold_up_nobody(
    serve: Serve, tmp_path: Path, worker_class: str
) -> None:
    server = start(serve, tmp_path, worker_class, "plain")
    with flood(server, "pairs", 60, "plain") as ends:
        assert_served(server)
    assert ends == {}
    assert "WORKER TIMEOUT" not in server.log()


@pytest.mark.alone
@pytest.mark.parametrize("worker_class", CLASSES)
def test_a_pipelining_client_has_no_worker_to_itself(
    serve: Serve, tmp_path: Path, worker_class: str, transport: str
) -> None:
    """400 requests that take 5 ms each, sent at once: others have their turn between them."""
    server = start(serve, tmp_path, worker_class, transport)
    answers: list[bytes] = []
    begun = threading.Event()

    def read() -> None:
        answers.append(client.answer().body)
        begun.set()
        answers.extend(client.answer().body for _ in range(399))

    with wire(server, 60.0) as client:
        client.send(b"".join(render(f"GET /slow?{n} HTTP/1.1\nHost: a") for n in range(400)))
        reader = threading.Thread(target=read)
        reader.start()
        assert begun.wait(20)
        assert_served(server)
        assert len(answers) < 400, "the others did not have to wait for the end"
        reader.join()
    assert answers == [b"0 %d" % n for n in range(400)]


@pytest.mark.parametrize("worker_class", CLASSES)
def test_what_came_together_is_answered_though_nothing_more_comes(
    serve: Serve, tmp_path: Path, worker_class: str, transport: str
) -> None:
    """Requests with and without bodies, in one go; their rest waits where no poller looks."""
    server = start(serve, tmp_path, worker_class, transport)
    requests = [
        render(f"GET /?{n} HTTP/1.1\nHost: a")
        if n % 3
        else render(f"POST /?{n} HTTP/1.1\nHost: a\nTransfer-Encoding: chunked")
        + chunked([b"x"] * (n % 2 * 3000 + 5))
        for n in range(600)
    ]
    for ending in (b"", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):
        with wire(server, 60.0) as client:
            # The answers to all of them find room on their way.
            client.send(b"".join(requests) + ending)
            for n in range(600):
                size = 0 if n % 3 else n % 2 * 3000 + 5
                assert client.answer().body == b"%d %d" % (size, n)
            if ending:
                assert client.answer().body == b"0 "
                assert client.closed()
            else:
                assert client.get("/?kept").body == b"0 kept"
    assert server.stop() == 0


@pytest.mark.parametrize("worker_class", CLASSES)
def test_a_worker_that_stops_lets_go_of_who_stands_in_line(
    serve: Serve, tmp_path: Path, worker_class: str
) -> None:
    """What it has begun it finishes, and says so that this was the last."""
    server = start(serve, tmp_path, worker_class, "plain")
    with wire(server, 60.0) as client:
        client.send(render("GET /slow HTTP/1.1\nHost: a") * 1000)
        assert client.answer().status == 200
        server.process.terminate()
        answers = 1
        while not client.answer().closes:
            answers += 1
        assert answers < 1000
        assert client.closed()
    assert server.wait() == 0
