"""Exceptions that end a thread, a task or a process elsewhere end one request here, with 500."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import Truncated, render, wire
from tests.servers import Server
from tests.worker_classes import WORKER_CLASSES

APP = '''\
import asyncio
import functools

class Own(BaseException):
    pass

KINDS = {kind.__name__: kind for kind in (
    SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Own)}
try:
    import gevent
    KINDS["Timeout"] = functools.partial(gevent.Timeout, 60)
    KINDS["GreenletExit"] = gevent.GreenletExit
except ImportError:
    pass

def note(text):
    with open("notes", "a") as file:
        file.write(text + "\\n")

class Blocks:
    def __init__(self, blocks, closing=None):
        self.blocks = blocks
        self.closing = closing
    def __iter__(self):
        return iter(self.blocks)
    def close(self):
        note("closed")
        if self.closing:
            raise self.closing("in close")

class Failing:
    """Raises where it is used as a file."""
    def __init__(self, kind):
        self.kind = kind
    def read(self, size=-1):
        raise self.kind("in read")
    def close(self):
        note("closed")

def raising(kind, count):
    for _ in range(count):
        yield b"x"
    raise kind("in the generator")

def app(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/":
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]
    if path == "/upload":
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [str(len(body)).encode()]
    kind = KINDS[query]
    if path == "/call":
        raise kind("in the call")
    if path == "/input":
        environ["wsgi.input"].read()
        raise kind("after reading")
    write = start_response("200 OK", [])
    if path == "/write":
        write(b"begun")
        raise kind("after write")
    if path == "/first":
        return Blocks(raising(kind, 0))
    if path == "/second":
        return Blocks(raising(kind, 1))
    if path == "/close":
        return Blocks([b"all ", b"of it"], kind)
    if path == "/close-whole":
        start_response = None
        return Blocks([b"all of it"], kind)
    if path == "/file":
        return environ["wsgi.file_wrapper"](Failing(kind))
    if path == "/hook":
        return [b"hooked"]
'''

CONFIG = """\
import asyncio

def pre_request(worker, req):
    if req.path == "/before":
        raise SystemExit("in pre_request")

def post_request(worker, req, environ, resp):
    with open("notes", "a") as file:
        file.write("after " + req.path + " " + str(resp.status_code) + "\\n")
    if req.path == "/hook":
        raise asyncio.CancelledError("in post_request")
"""

KINDS = ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "CancelledError", "Own"]
GREEN_KINDS = ["Timeout", "GreenletExit"]


@pytest.fixture(scope="module", params=WORKER_CLASSES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("endings")
    files = {"app.py": APP, "gunicorn.conf.py": CONFIG}
    options = (*WORKER_CLASSES[request.param], "--access-logfile", "-")
    with Server("app:app", *options, cwd=folder, files=files) as server:
        workers = server.wait_workers(2 if request.param == "sync-siblings" else 1)
        assert server.get("/").text == "ok"
        yield server
        assert server.workers() == workers, "no worker has ended"


def logged(server: Server, path: str, kind: str, before: int) -> None:
    """The traceback and the access line of one request more than `before` have been written."""
    server.wait_for(rf"Error handling request GET /{path}\?{kind}\n", count=before + 1)
    server.wait_for(rf'"GET /{path}\?{kind} HTTP/1.1" ', count=before + 1)
    assert re.search(rf"\n(\w+\.)*{kind}: ", server.log())


@pytest.mark.parametrize("path", ["call", "input", "first", "file"])
def test_what_the_application_raises_is_a_500_with_a_traceback(server: Server, path: str) -> None:
    green = "gevent" in server.command
    with wire(server) as client, wire(server) as upload:
        upload.send(render("POST /upload HTTP/1.1\nHost: a\nContent-Length: 10") + b"x" * 5)
        for kind in [*KINDS, *(GREEN_KINDS if green else [])]:
            before = server.log().count(f"Error handling request GET /{path}?{kind}\n")
            answer = client.get(f"/{path}?{kind}")
            assert (answer.status, answer.closes) == (500, False), kind
            logged(server, path, kind, before)
            assert client.get("/").body == b"ok", "the connection goes on"
        upload.send(b"x" * 5)
        assert upload.answer().body == b"10", "others have lost nothing"


@pytest.mark.parametrize("path", ["write", "second"])
def test_what_it_raises_after_the_head_cuts_the_response(server: Server, path: str) -> None:
    for kind in KINDS:
        before = server.log().count(f"Error handling request GET /{path}?{kind}\n")
        with wire(server) as client:
            client.send(render(f"GET /{path}?{kind} HTTP/1.1\nHost: a"))
            with pytest.raises(Truncated):
                client.answer()
        logged(server, path, kind, before)


@pytest.mark.parametrize("path", ["close", "close-whole"])
def test_what_close_raises_is_logged(server: Server, path: str) -> None:
    with wire(server) as client:
        for kind in KINDS:
            assert client.get(f"/{path}?{kind}").body == b"all of it"
            assert client.get("/").body == b"ok"
            server.wait_for(rf"Error closing the response to GET /{path}\?{kind}\n")


def test_what_hooks_raise_ends_no_worker(server: Server) -> None:
    with wire(server) as client:
        assert client.get("/before").status == 500
        assert client.get("/hook?Own").body == b"hooked"
        assert client.get("/").body == b"ok"
    server.wait_for("SystemExit: in pre_request")
    server.wait_for("Exception in post_request hook")


def test_the_iterable_is_closed_and_post_request_called(server: Server) -> None:
    notes = server.cwd / "notes"
    for path, status in (("first", 500), ("second", 200), ("file", 500)):
        notes.write_text("")
        server.raw(render(f"GET /{path}?SystemExit HTTP/1.1\nHost: a\nConnection: close"))
        for line in ("closed", f"after /{path} {status}"):
            server.until(lambda line=line: line in notes.read_text().splitlines(), line)


EXITING = """\
import os
import signal
import sys
import time

def note(text):
    with open("notes", "a") as file:
        file.write(text + "\\n")

def leave(*_):
    note("told")
    sys.exit(3)

if "late" not in os.environ["HOW"]:
    signal.signal(signal.SIGTERM, leave)

def blocks():
    for _ in range(6):
        time.sleep(0.25)
        yield b"x"

def app(environ, start_response):
    if environ["PATH_INFO"] == "/late":
        signal.signal(signal.SIGTERM, leave)
        note("set")
    if environ["PATH_INFO"] == "/slow":
        note("began")
        time.sleep(1.5)
    start_response("200 OK", [])
    return blocks() if environ["PATH_INFO"] == "/blocks" else [b"done"]
"""


@pytest.mark.parametrize("path", ["/slow", "/blocks"])
@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_an_exit_in_the_applications_own_handler_of_term_cuts_nothing_off(
    serve: Serve, worker_class: str, path: str
) -> None:
    server = serve(EXITING, *WORKER_CLASSES[worker_class], env={"HOW": "import"})
    notes = server.cwd / "notes"
    with wire(server) as client, wire(server) as upload:
        # Half of a request: it has begun, and has the time to end.
        upload.send(render("POST / HTTP/1.1\nHost: a\nContent-Length: 10") + b"x" * 5)
        client.send(render(f"GET {path} HTTP/1.1\nHost: a"))
        if path == "/slow":
            server.until(lambda: notes.exists() and "began" in notes.read_text(), "the call")
        else:
            assert client.head().status == 200
        server.send_signal(signal.SIGTERM)
        server.until(lambda: notes.exists() and "told" in notes.read_text(), "the handler's note")
        if path == "/slow":
            assert client.answer().body == b"done"
        else:
            assert client.chunks() == b"xxxxxx"
        upload.send(b"x" * 5)
        assert upload.answer().body == b"done"
    assert server.wait() == 0
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("worker_class", [name for name in WORKER_CLASSES if name != "gthread"])
def test_a_handler_of_term_may_be_set_in_a_request(serve: Serve, worker_class: str) -> None:
    """That is where requests are served by the main thread. The worker ends in any case."""
    server = serve(EXITING, *WORKER_CLASSES[worker_class], env={"HOW": "late"})
    notes = server.cwd / "notes"
    with wire(server) as client:
        client.send(render("GET /late HTTP/1.1\nHost: a") + render("GET /slow HTTP/1.1\nHost: a"))
        assert client.answer().body == b"done"
        server.until(lambda: "began" in notes.read_text(), "the call")
        server.send_signal(signal.SIGTERM)
        # The loop may not have seen the handler yet: then this is what the application raised.
        assert client.answer().status in (200, 500)
    assert server.wait() == 0


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_the_server_itself_ends_a_worker_at_once(
    serve: Serve, worker_class: str, sig: signal.Signals
) -> None:
    """Whatever the application makes of the exception that this is."""
    server = serve(STUBBORN, *WORKER_CLASSES[worker_class])
    for path in ("/call", "/generator"):
        client = wire(server)
        client.send(render(f"GET {path} HTTP/1.1\nHost: a"))
    notes = server.cwd / "notes"
    server.until(notes.exists, "the call")
    assert server.stop(sig, timeout=5.0) == 0


STUBBORN = """\
import time

def wait():
    open("notes", "a").close()
    try:
        time.sleep(60)
    except BaseException:
        pass

def blocks():
    yield b"x"
    while True:
        wait()
        yield b"x"

def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/call":
        wait()
        return [b"done"]
    return blocks()
"""
