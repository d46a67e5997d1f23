"""TERM: at once, or after a delay in which health checks fail; what was begun is finished."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import pytest

from tests.faults.conftest import Serve
from tests.faults.load import Load
from tests.servers import read_all

HEALTH = """\
from gunicorn.util import stopping
import time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1)
    status = "503 Service Unavailable" if stopping() else "200 OK"
    start_response(status, [("Content-Length", "0")])
    return []
"""

SAYS_WHEN = """\
import time
from gunicorn.util import stopping

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "6")])
    open("called", "w").close()
    end = time.monotonic() + 10
    while not stopping() and time.monotonic() < end:
        time.sleep(0.01)
    # The signal follows what stopping() tells.
    time.sleep(0.5)
    return [b"served"]
"""


def test_a_delay_in_which_health_checks_fail(serve: Serve) -> None:
    server = serve("-w", "2", "--shutdown-delay", "1.5", files={"app.py": HEALTH})
    server.wait_workers(2)
    assert server.get("/health").status == 200
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    server.until(lambda: server.get("/health").status == 503, "failing health checks", 1.0)
    assert server.wait() == 0
    assert time.monotonic() - began >= 1.5


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_second_signal_ends_the_delay(serve: Serve, signum: int) -> None:
    server = serve("--shutdown-delay", "60", files={"app.py": HEALTH})
    server.send_signal(signal.SIGTERM)
    server.until(lambda: server.get("/health").status == 503, "the delay")
    time.sleep(0.6)
    server.send_signal(signum)
    assert server.wait(15) == 0


@pytest.mark.slow
def test_nobody_fails_before_the_delay_is_over(serve: Serve) -> None:
    server = serve("-w", "2", "--shutdown-delay", "1")
    with Load(server) as load:
        load.settle(0.3)
        server.send_signal(signal.SIGTERM)
        load.go_on(0.7)
        assert load.failures == []
        assert server.wait() == 0
    load.report("TERM with shutdown_delay")
    assert [one for one in load.failures if "ConnectionRefused" not in one.error] == []


def test_what_was_received_is_answered(serve: Serve) -> None:
    """One request in progress, one received on a kept connection, one still in the queue."""
    server = serve("-w", "1", files={"app.py": HEALTH})
    request = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
    with server.connect() as kept, server.connect() as busy:
        kept.sendall(request % b"first")
        assert b"200 OK" in kept.recv(65536)
        busy.sendall(request % b"slow")
        time.sleep(0.3)
        kept.sendall(request % b"second")
        with socket.create_connection(("127.0.0.1", server.port)) as queued:
            queued.sendall(request % b"third")
            server.send_signal(signal.SIGTERM)
            for client in (busy, kept, queued):
                client.settimeout(10)
                answer = read_all(client)
                assert answer.startswith(b"HTTP/1.1 503"), answer
                assert b"\r\nConnection: close\r\n" in answer, answer
    assert server.wait() == 0


@pytest.mark.parametrize(
    "options",
    [
        ("-w", "1"),
        ("-w", "2"),
        ("--threads", "3"),
        ("-k", "gevent"),
        pytest.param(("-k", "eventlet"), marks=pytest.mark.slow),
        pytest.param(("-k", "gevent", "--http-parser", "python"), marks=pytest.mark.slow),
        pytest.param(("--http-parser", "python"), marks=pytest.mark.slow),
    ],
)
def test_what_is_in_progress_is_the_last_on_its_connection(
    serve: Serve, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Its head is rendered after the signal: without waiting for the application to be done."""
    server = serve(*options, files={"app.py": SAYS_WHEN})
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server.until((tmp_path / "called").exists, "the call")
        server.send_signal(signal.SIGTERM)
        client.settimeout(10)
        answer = read_all(client)
    assert b"\r\nConnection: close\r\n" in answer, answer
    assert answer.endswith(b"\r\n\r\nserved"), answer
    assert server.wait() == 0
