"""A single worker, and clients that would stop it if it waited for them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import Wire, render, wire
from tests.servers import Server

BIG = 5 * 1024 * 1024

APP = """\
import os
import time

BODY = bytes(5 * 1024 * 1024)

def slowly(deadline):
    while time.monotonic() < deadline:
        time.sleep(0.1)
        yield b"x"

def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/big":
        return [BODY]
    if path == "/file":
        return environ["wsgi.file_wrapper"](open("big.bin", "rb"))
    if path == "/slowly":
        return slowly(time.monotonic() + 4)
    return [b"%d %d" % (os.getpid(), len(body))]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("slow")
    (folder / "big.bin").write_bytes(bytes(BIG))
    with Server("app:app", cwd=folder, files={"app.py": APP}) as server:
        yield server


@contextlib.contextmanager
def clients(server: Server, count: int) -> Iterator[list[Wire]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(wire(server)) for _ in range(count)]


def served_promptly(server: Server, requests: int = 20) -> None:
    """One after the other, far faster than any of the time-outs that a stalled worker waits for."""
    before = time.monotonic()
    for _ in range(requests):
        assert server.get("/", timeout=5).status == 200
    assert time.monotonic() - before < 5


def test_heads_that_trickle(server: Server) -> None:
    head = render("GET / HTTP/1.1\nHost: a\nX-Trickle: abcdefghijk")
    with clients(server, 50) as slow:
        for position in range(len(head) - 1):
            for client in slow:
                client.send(head[position : position + 1])
            if position % 10 == 0:
                served_promptly(server, 2)
        served_promptly(server)
        for client in slow:
            client.send(head[-1:])
        assert {client.answer().status for client in slow} == {200}


def test_bodies_that_trickle(server: Server) -> None:
    with clients(server, 50) as slow:
        for number, client in enumerate(slow):
            coding = "Content-Length: 30" if number % 2 else "Transfer-Encoding: chunked"
            client.send(render(f"POST / HTTP/1.1\nHost: a\n{coding}"))
        for _ in range(29):
            for number, client in enumerate(slow):
                client.send(b"x" if number % 2 else b"1\r\nx\r\n")
        served_promptly(server)
        for number, client in enumerate(slow):
            client.send(b"x" if number % 2 else b"1\r\nx\r\n0\r\n\r\n")
        assert {client.answer().body.split()[1] for client in slow} == {b"30"}


@pytest.mark.parametrize("path", ["/big", "/file"])
def test_responses_that_nobody_reads(server: Server, path: str) -> None:
    with clients(server, 20) as slow:
        for client in slow:
            client.send(render(f"GET {path} HTTP/1.1\nHost: a"))
        served_promptly(server)
        assert {len(client.answer().body) for client in slow} == {BIG}


def test_silent_connections(server: Server) -> None:
    with clients(server, 50) as silent:
        served_promptly(server)
        for client in silent[::2]:
            assert client.get().status == 200


def test_a_response_that_makes_progress_outlives_the_timeout(serve: Serve) -> None:
    server = serve(APP, "--timeout", "2")
    with wire(server) as client:
        assert len(client.get("/slowly").body) > 10
    server.never_says("TIMEOUT")


def test_a_body_that_makes_progress_outlives_the_timeout(serve: Serve) -> None:
    server = serve(APP, "--timeout", "2")
    size = 2 * 1024 * 1024 + 40
    with wire(server) as client:
        pid = client.get().body.split()[0]
        client.send(render(f"POST / HTTP/1.1\nHost: a\nContent-Length: {size}"))
        client.send(bytes(2 * 1024 * 1024))
        for _ in range(40):
            time.sleep(0.1)  # the pace of a slow client
            client.send(b"x")
        assert client.answer().body.split() == [pid, str(size).encode()]
    server.never_says("TIMEOUT")
