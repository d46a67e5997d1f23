"""Told to quit in the middle: what is over has its line in the log, and what is not is closed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import render, wire
from tests.worker_classes import WORKER_CLASSES

APP = """\
import time
from pathlib import Path

class Blocks:
    def __init__(self):
        self.count = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.count += 1
        if self.count > 1:
            Path("sending").touch()
            time.sleep(40)
        return b"block"

    def close(self):
        Path("closed").write_text("closed")

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/hang":
        Path("hanging").touch()
        time.sleep(40)
    if path == "/slow":
        time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Blocks() if path == "/blocks" else [b"here"]
"""


@pytest.mark.parametrize("worker_class", ["sync", "sync-siblings", "gthread", "tornado"])
@pytest.mark.parametrize("quits", [signal.SIGQUIT, signal.SIGINT])
def test_the_lines_of_what_was_answered_are_written(
    serve: Serve, worker_class: str, quits: signal.Signals
) -> None:
    """Lines are written when a round is over, and this one is not over when the end comes."""
    server = serve(APP, *WORKER_CLASSES[worker_class], "--access-logfile", "access.log")
    workers = server.wait_workers(2 if worker_class == "sync-siblings" else 1)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(wire(server)) for _ in range(5)]
        for client in clients:
            assert client.get("/before").status == 200
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        for client in clients:
            client.send(render("GET /answered HTTP/1.1\nHost: a"))
        hanging = [stack.enter_context(wire(server)) for _ in workers]
        for client in hanging:
            client.send(render("GET /hang HTTP/1.1\nHost: a"))
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        server.until((server.cwd / "hanging").exists, "the application")
        answered = 0
        for client in clients:
            # A response that waited for the end of the round leaves at the latest with this.
            client.sock.settimeout(3)
            with contextlib.suppress(TimeoutError):
                answered += client.answer().status == 200
        assert server.stop(quits) == 0
    lines = (server.cwd / "access.log").read_text().count("GET /answered")
    assert lines >= answered
    if worker_class == "sync":
        assert lines == 5


@pytest.mark.parametrize("worker_class", ["sync", "tornado"])
def test_the_line_of_a_request_that_took_long_waits_for_no_other(
    serve: Serve, worker_class: str
) -> None:
    """Somebody may be looking, and the next in the same round may take for ever."""
    server = serve(APP, *WORKER_CLASSES[worker_class], "--access-logfile", "access.log")
    (worker,) = server.wait_workers(1)
    with wire(server) as first, wire(server) as second:
        for client in (first, second):
            assert client.get("/before").status == 200
        os.kill(worker, signal.SIGSTOP)
        first.send(render("GET /slow HTTP/1.1\nHost: a"))
        second.send(render("GET /hang HTTP/1.1\nHost: a"))
        os.kill(worker, signal.SIGCONT)
        server.until((server.cwd / "hanging").exists, "the application")
        server.until(lambda: "GET /slow" in (server.cwd / "access.log").read_text(), "the line", 5)
        assert server.stop(signal.SIGQUIT) == 0


@pytest.mark.parametrize("worker_class", ["sync", "sync-siblings", "gevent", "eventlet", "tornado"])
def test_the_iterable_of_the_application_is_closed(serve: Serve, worker_class: str) -> None:
    """As PEP 3333 promises, whatever ends the response."""
    server = serve(APP, *WORKER_CLASSES[worker_class], "--graceful-timeout", "1")
    with wire(server) as client:
        client.send(render("GET /blocks HTTP/1.1\nHost: a"))
        server.until((server.cwd / "sending").exists, "the second block")
        time.sleep(0.1)
        assert server.stop(signal.SIGQUIT) == 0
    assert (server.cwd / "closed").read_text() == "closed"


DOWNLOAD = """\
from wsgiref.util import FileWrapper

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", str(32 << 20))])
    return environ["wsgi.file_wrapper"](open("large", "rb"))
"""


@pytest.mark.parametrize("worker_class", ["sync", "sync-siblings", "gthread"])
def test_a_download_is_not_the_time_of_the_application(
    serve: Serve, tmp_path: Path, worker_class: str
) -> None:
    """However long the client takes, neither request_timeout nor a stop cuts the worker off."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(32 << 20)
    server = serve(DOWNLOAD, *WORKER_CLASSES[worker_class], "--request-timeout", "2")
    workers = server.wait_workers(2 if worker_class == "sync-siblings" else 1)
    with wire(server) as client:
        client.send(render("GET / HTTP/1.1\nHost: a"))
        assert client.head().status == 200
        began = time.monotonic()
        while time.monotonic() - began < 4:
            client.exactly(64 << 10)
            time.sleep(0.1)
        assert server.workers() == workers
    server.never_says("WORKER TIMEOUT|has been in the application")
