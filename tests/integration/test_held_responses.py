"""Short responses of one round leave together, and nobody may lose by it.

A round is what has arrived when the worker looks: here it is stopped, several clients send one
request each, and it goes on. The last request of a round waits for nobody.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator, Sequence

import pytest

from gunicorn import compiled
from tests.integration.conftest import Serve
from tests.integration.wire import Wire, render, wire
from tests.servers import Server

APP = """\
import os
import signal
import time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = path.encode()
    if path.startswith("/sleep/"):
        time.sleep(float(path[7:]))
    elif path == "/quit":
        os.kill(os.getpid(), signal.SIGQUIT)
    elif path == "/copy":
        copy = os.fork()
        if not copy:
            raise SystemExit(0)
        os.waitpid(copy, 0)
    elif path == "/large":
        body = b"x" * 30000
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return closing(body) if path == "/block" else [body]

def closing(body):
    yield body
"""

PARSERS = ["fast", "python"] if compiled.available() else ["python"]
RESET = struct.pack("ii", 1, 0)


@pytest.fixture(params=PARSERS)
def server(request: pytest.FixtureRequest, serve: Serve) -> Server:
    return serve(APP, "--keep-alive", "30", "--http-parser", request.param)


@contextlib.contextmanager
def clients(server: Server, count: int) -> Iterator[list[Wire]]:
    """Kept connections, each of which has been used."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(wire(server)) for _ in range(count)]
        for client in found:
            assert client.get("/first").body == b"/first"
        # The first calls of an application may be slow ones, which is remembered for a while.
        time.sleep(0.3)
        yield found


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """What is sent meanwhile arrives in one round of the worker `pid`."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def one_round(server: Server, clients: Sequence[Wire], paths: Sequence[str]) -> None:
    """Each of `clients` asks for the path at its place, all in one round."""
    with stopped(*server.workers()):
        for client, path in zip(clients, paths, strict=True):
            client.send(request(path))


def request(path: str) -> bytes:
    return render(f"GET {path} HTTP/1.1\nHost: a")


def test_everybody_gets_the_own_response(server: Server) -> None:
    paths = [f"/{number}" for number in range(200)]
    paths[50] = paths[120] = "/block"
    paths[70] = "/large"
    with clients(server, len(paths)) as found:
        for _ in range(3):
            one_round(server, found, paths)
            for client, path in zip(found, paths, strict=True):
                body = client.answer().body
                assert body == (b"x" * 30000 if path == "/large" else path.encode())


@pytest.mark.alone
def test_a_slow_call_keeps_others_back_once(server: Server) -> None:
    paths = ["/a", "/sleep/0.4", "/b"]
    with clients(server, 3) as found:
        waits = []
        for _ in range(2):
            one_round(server, found, paths)
            started = time.monotonic()
            assert found[0].answer().body == b"/a"
            waits.append(time.monotonic() - started)
            assert [client.answer().body for client in found[1:]] == [b"/sleep/0.4", b"/b"]
    # The first shows that there was something to keep back.
    assert waits[0] > 0.3
    assert waits[1] < 0.3


def test_other_work_does_not_begin_before_what_is_held_has_left(server: Server) -> None:
    """A request with a body, a second one in the same piece, one that is refused."""
    body = b"POST /sleep/0.4 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
    pair = request("/c") + request("/sleep/0.4")
    for behind in (body, pair):
        with clients(server, 3) as found:
            with stopped(*server.workers()):
                found[0].send(request("/a"))
                found[1].send(behind)
                found[2].send(b"nonsense\r\n\r\n")
            started = time.monotonic()
            assert found[0].answer().body == b"/a"
            assert time.monotonic() - started < 0.3
            assert found[1].answer().status == 200
            assert found[2].answer().status == 400


def test_clients_that_left_harm_nobody(server: Server) -> None:
    with clients(server, 4) as found:
        with stopped(*server.workers()):
            for client in found:
                client.send(request("/large"))
            found[1].sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            found[1].close()
            found[2].close()
        assert [found[index].answer().body for index in (0, 3)] == [b"x" * 30000] * 2
        assert found[0].get("/still").body == b"/still"


def test_what_the_kernel_does_not_take_is_sent_later(server: Server) -> None:
    """A client that sends many requests and reads nothing, until the buffers are full."""
    rounds = 200
    with clients(server, 3) as (silent, *others):
        silent.sock.settimeout(20)
        for number in range(rounds):
            one_round(server, [silent, *others], ["/large", "/large", f"/{number}"])
            assert others[0].answer().body == b"x" * 30000
            assert others[1].answer().body == f"/{number}".encode()
        for _ in range(rounds):
            assert silent.answer().body == b"x" * 30000
        assert silent.get("/still").body == b"/still"


def test_a_worker_that_is_made_to_quit_sends_what_is_finished(server: Server) -> None:
    with clients(server, 3) as found:
        one_round(server, found, ["/a", "/quit", "/b"])
        assert found[0].answer().body == b"/a"
        assert found[0].closed()


def test_a_copy_of_the_worker_sends_nothing(server: Server) -> None:
    with clients(server, 3) as found:
        one_round(server, found, ["/a", "/copy", "/b"])
        assert [client.answer().body for client in found] == [b"/a", b"/copy", b"/b"]
        assert [client.get("/c").body for client in found] == [b"/c"] * 3
