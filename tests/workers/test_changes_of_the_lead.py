"""gthread: what was going on when a thread lost the lead goes on under the next.

The worker is stopped (SIGSTOP) where several things are to be found at once: then the thread that
leads sees all of them when it goes on.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.integration.wire import Wire, render, wire
from tests.servers import Server, read_all

APP = """\
import time
from pathlib import Path

def app(environ, start_response):
    what, _, name = environ["PATH_INFO"][1:].partition("/")
    if what == "wait":
        Path("began-" + name).touch()
        while not Path(name).exists():
            time.sleep(0.02)
    start_response("200 OK", [("Content-Length", "4")])
    return iter([b"do", b"ne"]) if what == "fault" else [b"done"]
"""


def start(folder: Path, *options: str) -> Server:
    arguments = ("--worker-class", "gthread", "--threads", "2", *options)
    return Server("app:app", *arguments, cwd=folder, files={"app.py": APP})


def wait_in_application(server: Server, client: Wire, name: str) -> None:
    """Have a request of `client` keep a thread until there is a file of that name."""
    client.send(render(f"GET /wait/{name} HTTP/1.1\nHost: a"))
    server.until((server.cwd / f"began-{name}").exists, "the application")


def test_time_outs_go_on_when_a_last_look_finds_a_long_call(tmp_path: Path) -> None:
    """A request comes at the moment when its connection would be closed, and lasts."""
    with start(tmp_path, "--keep-alive", "1", "--header-timeout", "1") as server:
        (worker,) = server.wait_workers(1)
        with wire(server) as kept:
            assert kept.get("/").body == b"done"
            os.kill(worker, signal.SIGSTOP)
            kept.send(render("GET /wait/end HTTP/1.1\nHost: a"))
            # Until the connection's time is up.
            time.sleep(1.5)
            os.kill(worker, signal.SIGCONT)
            server.until((tmp_path / "began-end").exists, "the application")
            with wire(server) as slow:
                slow.send(b"GET / HTTP/1.1\r\nHo")
                assert slow.answer().status == 408, "while the call lasts"
            (tmp_path / "end").touch()
            assert kept.answer().body == b"done"


def test_who_waited_for_a_thread_has_its_time_out_again(tmp_path: Path) -> None:
    """A head that trickles while every thread is busy; nothing more of it comes."""
    with (
        start(tmp_path, "--header-timeout", "3") as server,
        wire(server) as slow,
        wire(server) as first,
        wire(server) as second,
    ):
        slow.send(b"GET / HT")
        for client, name in ((first, "a"), (second, "b")):
            wait_in_application(server, client, name)
        slow.send(b"TP/1.1\r\n")
        # For the guard to see it, which has no time for it.
        time.sleep(0.3)
        for name in "ab":
            (tmp_path / name).touch()
        assert first.answer().body == second.answer().body == b"done"
        assert slow.answer().status == 408


FAULT = """\
from gunicorn.workers.handler import RequestHandler

complete = RequestHandler.complete

def faulty(self, request, *rest):
    if request.path == "/fault":
        raise RuntimeError("a fault of the server")
    complete(self, request, *rest)

RequestHandler.complete = faulty
"""


@pytest.mark.parametrize("worker_class", ["gthread", "gevent", "eventlet"])
def test_a_fault_of_the_server_itself_ends_the_connection_and_nothing_else(
    tmp_path: Path, worker_class: str
) -> None:
    """A worker of one thread ends of it, and another takes its place; these go on."""
    options = ("-k", worker_class, "--keep-alive", "60", "-c", "conf.py")
    files = {"app.py": APP, "conf.py": FAULT}
    with Server("app:app", *options, cwd=tmp_path, files=files) as server:
        (worker,) = server.wait_workers(1)
        with wire(server) as other, wire(server) as unlucky:
            assert other.get("/").body == b"done"
            unlucky.send(render("GET /fault HTTP/1.1\nHost: a"))
            read_all(unlucky.sock)
            for _ in range(8):
                assert other.get("/").body == b"done"
        server.wait_for("RuntimeError: a fault of the server")
        assert server.workers() == [worker]
