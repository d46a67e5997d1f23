"""What runs out, and what is under way when a worker has to stop."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import Wire, render, wire
from tests.servers import HELLO, Server
from tests.worker_classes import WORKER_CLASSES

SINGLE = [name for name in WORKER_CLASSES if name != "sync-siblings"]
"""Those with one worker, whose places can be counted."""

APP = """\
BODY = bytes(5 * 1024 * 1024)

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [BODY if environ["PATH_INFO"] == "/big" else b"%d" % len(body)]
"""


@contextlib.contextmanager
def clients(server: Server, count: int) -> Iterator[list[Wire]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(wire(server)) for _ in range(count)]


@pytest.mark.parametrize("worker_class", SINGLE)
def test_descriptors_that_run_out(serve: Serve, worker_class: str) -> None:
    """Idle connections make way, nobody is refused, and the log says so once."""
    few = ("/bin/sh", "-c", 'ulimit -n 48; exec "$@"', "sh", sys.executable, "-m", "gunicorn")
    server = serve(HELLO, *WORKER_CLASSES[worker_class], "--keep-alive", "60", command=few)
    with clients(server, 80) as crowd:
        for client in crowd:
            assert client.get().status == 200
    assert server.get("/").status == 200
    server.wait_for("Cannot accept connections: .* Too many open files")
    server.says_in_all(r"\[ERROR\]", 1)


@pytest.mark.parametrize("worker_class", SINGLE)
def test_worker_connections_close_the_oldest_idle_ones(serve: Serve, worker_class: str) -> None:
    server = serve(
        HELLO, *WORKER_CLASSES[worker_class], "--keep-alive", "60", "--worker-connections", "3"
    )
    with clients(server, 6) as crowd:
        for client in crowd:
            assert client.get().status == 200
        assert [client.closed() for client in crowd[:3]] == [True] * 3
        assert [client.get().status for client in crowd[3:]] == [200] * 3
    server.never_says(r"\[ERROR\]")


@pytest.mark.parametrize("worker_class", SINGLE)
def test_who_comes_beyond_the_limit_waits_for_a_place(serve: Serve, worker_class: str) -> None:
    server = serve(APP, *WORKER_CLASSES[worker_class], "--worker-connections", "3")
    with clients(server, 4) as (*busy, last):
        for client in busy:
            client.send(render("GET /big HTTP/1.1\nHost: a"))
            client.head()
        last.send(render("GET / HTTP/1.1\nHost: a"))
        last.sock.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            raise AssertionError(f"served beyond the limit: {last.sock.recv(100)!r}")
        last.sock.settimeout(20)
        server.wait_for(r"\[WARNING\] All 3 places of worker_connections are taken")
        busy[0].close()
        assert last.answer().status == 200


@pytest.mark.parametrize("worker_class", SINGLE)
def test_slow_ones_make_way_when_others_wait(serve: Serve, worker_class: str) -> None:
    """Silent clients, heads and bodies that trickle, and who reads nothing: all go in the end."""
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "--worker-connections", "4", "--header-timeout", "60"
    )
    with clients(server, 4) as (silent, head, body, reader):
        reader.send(render("GET /big HTTP/1.1\nHost: a"))
        reader.head()
        head.send(b"GET / HTTP/1.1\r\nHo")
        body.send(render("POST / HTTP/1.1\nHost: a\nContent-Length: 9") + b"x")
        with clients(server, 4) as others:
            for client in others:
                client.send(render("GET /big HTTP/1.1\nHost: a"))
            for client in others:
                assert client.head().status == 200
        for client in (head, body):
            assert client.answer().status == 408
        assert silent.closed()
    assert server.get("/").status == 200


def test_a_graceful_stop_finishes_what_was_begun(serve: Serve) -> None:
    server = serve(APP, "--keep-alive", "60", "--graceful-timeout", "20")
    with clients(server, 10) as idle, clients(server, 3) as (half_head, half_body, reading):
        for client in idle:
            assert client.get().status == 200
        reading.send(render("GET /big HTTP/1.1\nHost: a"))
        half_body.send(render("POST / HTTP/1.1\nHost: a\nContent-Length: 6") + b"abc")
        half_head.send(b"GET / HTTP/1.1\r\nHo")
        # Who came before this one has been accepted before it, and read from.
        assert server.get("/").status == 200
        server.send_signal(signal.SIGTERM)
        # Some of these come before the worker knows, and one when it does.
        while not (answer := idle[0].get()).closes:
            assert answer.status == 200
        assert answer.status == 200, "as if it had been on its way"
        for client in idle:
            assert client.closed(), "idle connections are let go"
        half_body.send(b"def")
        answer = half_body.answer()
        assert (answer.body, answer.closes) == (b"6", True)
        half_head.send(b"st: a\r\n\r\n")
        answer = half_head.answer()
        assert (answer.body, answer.closes) == (b"0", True)
        assert len(reading.answer().body) == 5 * 1024 * 1024
        before = time.monotonic()
        assert server.wait() == 0
        assert time.monotonic() - before < 10, "nothing is waited for that nobody has begun"


def test_a_graceful_stop_has_an_end(serve: Serve) -> None:
    server = serve(APP, "--graceful-timeout", "1")
    with wire(server) as reading, wire(server) as half:
        half.send(b"GET / HTTP/1.1\r\nHo")
        reading.send(render("GET /big HTTP/1.1\nHost: a"))
        assert server.get("/").status == 200
        before = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - before < 10


def test_a_quick_stop(serve: Serve) -> None:
    server = serve(APP, "--graceful-timeout", "60")
    with wire(server) as half:
        half.send(b"GET / HTTP/1.1\r\nHo")
        assert server.get("/").status == 200
        assert server.stop(signal.SIGQUIT) == 0
        assert half.closed()
