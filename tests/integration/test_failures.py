"""What goes wrong after the start of a response, and what each side may know of it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import Truncated, render, wire
from tests.servers import Server
from tests.worker_classes import WORKER_CLASSES

APP = '''\
import os
import sys

def note(text):
    with open("notes", "a") as file:
        file.write(text + "\\n")

class Pieces:
    """An iterable that notes whether it was closed."""
    def __init__(self, name, pieces):
        self.name = name
        self.pieces = iter(pieces)
    def __iter__(self):
        return self
    def __next__(self):
        return next(self.pieces)
    def close(self):
        note("closed " + self.name)

def failing(count, data=b"x" * 100):
    for _ in range(count):
        yield data
    raise RuntimeError("too late")

def endless():
    while True:
        yield b"x" * 65536

def app(environ, start_response):
    path = environ["PATH_INFO"]
    name = path.strip("/")
    query = environ["QUERY_STRING"]
    if path == "/body":
        try:
            size = len(environ["wsgi.input"].read())
        except OSError as error:
            note("body " + type(error).__name__)
            raise
        note(f"body {size}")
        start_response("200 OK", [])
        return [b"got it"]
    if path == "/no-start":
        return [b"x"]
    if path == "/twice":
        start_response("200 OK", [])
        start_response("200 OK", [])
    if path == "/text":
        start_response("200 OK", [])
        return ["text"]
    if path == "/newline":
        start_response("200 OK", [("X", "a\\r\\nInjected: yes")])
        return [b""]
    if path == "/changed-mind":
        start_response("200 OK", [("X", "first")])
        try:
            raise ValueError("found out in time")
        except ValueError:
            start_response("503 Later", [("X", "second")], sys.exc_info())
        return [b"sorry"]
    if path == "/changed-mind-too-late":
        write = start_response("200 OK", [])
        write(b"written")
        try:
            raise ValueError("found out too late")
        except ValueError:
            start_response("503 Later", [], sys.exc_info())
        return [b"never"]
    if path == "/closing-fails":
        class Bad(Pieces):
            def close(self):
                raise RuntimeError("in close")
        start_response("200 OK", [])
        return Bad(name, [b"all of it"])
    if path == "/hop":
        start_response("200 OK", [("Keep-Alive", "timeout=5"), ("Transfer-Encoding", "chunked"),
                                  ("X", "kept"), ("Connection", "keep-alive")])
        return [b"body"]
    fields = [("Content-Length", query)] if query else []
    start_response("200 OK", fields)
    if path == "/fails-at-once":
        return Pieces(name, failing(0))
    if path == "/fails":
        return Pieces(name, failing(3))
    if path == "/endless":
        return Pieces(name, endless())
    if path == "/hundred":
        return Pieces(name, [b"x" * 10] * 10)
    if path == "/hundred-whole":
        return [b"x" * 100]
    if path == "/hundred-file":
        open("hundred", "wb").write(b"x" * 100)
        return environ["wsgi.file_wrapper"](open("hundred", "rb"))
    return Pieces(name, [b"fine"])
'''


@pytest.fixture(scope="module", params=WORKER_CLASSES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("failures")
    # A body in the making is the application's business where nothing of it is put into files.
    options = (
        *WORKER_CLASSES[request.param], "--log-level", "debug", "--request-spool-size", "0"
    )  # fmt: skip
    with Server("app:app", *options, cwd=folder, files={"app.py": APP}) as server:
        yield server


@pytest.fixture
def notes(server: Server) -> Iterator[Path]:
    path = server.cwd / "notes"
    path.write_text("")
    yield path


def noted(server: Server, notes: Path, line: str) -> None:
    server.until(lambda: line in notes.read_text().splitlines(), f"{line!r} in the notes")


@pytest.mark.parametrize(
    "head",
    [
        "GET /fails HTTP/1.1\nHost: a",
        "GET /fails?5000 HTTP/1.1\nHost: a",
        "GET /fails HTTP/1.0",
        "GET /fails?5000 HTTP/1.0\nConnection: keep-alive",
    ],
    ids=["chunked", "length", "until-close", "1.0-length"],
)
def test_an_error_after_the_head_cuts_the_response(server: Server, notes: Path, head: str) -> None:
    before = server.log().count("RuntimeError: too late")
    with wire(server) as client:
        client.send(render(head))
        with pytest.raises((Truncated, ConnectionResetError)):
            client.answer()
    noted(server, notes, "closed fails")
    server.wait_for("RuntimeError: too late", count=before + 1)


def test_an_error_before_the_head_is_a_500(server: Server, notes: Path) -> None:
    with wire(server) as client:
        answer = client.get("/fails-at-once?5000")
        assert answer.status == 500
        assert b"late" not in answer.body
        assert client.get("/fine").body == b"fine"
    noted(server, notes, "closed fails-at-once")


def test_an_iterable_is_closed(server: Server, notes: Path) -> None:
    assert server.get("/fine").text == "fine"
    noted(server, notes, "closed fine")


def test_an_iterable_is_closed_when_the_client_goes(server: Server, notes: Path) -> None:
    with wire(server) as client:
        client.send(render("GET /endless HTTP/1.1\nHost: a"))
        client.head()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    noted(server, notes, "closed endless")
    assert server.get("/fine").text == "fine"


def test_a_close_that_fails_is_logged(server: Server) -> None:
    with wire(server) as client:
        assert client.get("/closing-fails").body == b"all of it"
        assert client.get("/fine").body == b"fine"
    server.wait_for("Error closing the response to GET /closing-fails")
    server.wait_for("RuntimeError: in close")


def test_a_client_that_goes_in_the_middle_of_a_body(server: Server, notes: Path) -> None:
    with wire(server) as client:
        client.send(render("POST /body HTTP/1.1\nHost: a\nContent-Length: 100") + b"x" * 50)
    with wire(server) as client:
        client.send(render("POST /body HTTP/1.1\nHost: a\nContent-Length: 3000000"))
        client.send(bytes(2_000_000))
    noted(server, notes, "body IncompleteBody")
    assert server.get("/fine").text == "fine"
    assert "body 50" not in notes.read_text()


@pytest.mark.parametrize("path", ["/hundred", "/hundred-whole", "/hundred-file"])
def test_a_response_longer_than_announced_is_cut_to_measure(server: Server, path: str) -> None:
    with wire(server) as client:
        assert client.get(path + "?25").body == b"x" * 25
        assert client.get("/fine").body == b"fine", "the connection is in step"


@pytest.mark.parametrize("path", ["/hundred", "/hundred-whole", "/hundred-file"])
def test_a_response_shorter_than_announced_ends_the_connection(server: Server, path: str) -> None:
    with wire(server) as client:
        client.send(render(f"GET {path}?250 HTTP/1.1\nHost: a") * 2)
        with pytest.raises(Truncated) as caught:
            client.answer()
        assert caught.value.received == b"x" * 100
    server.wait_for(rf"\[WARNING\] The response to GET {path}\?250 ended after 100 of 250 bytes")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/no-start", "did not call start_response"),
        ("/twice", "start_response\\(\\) called again without exc_info"),
        ("/text", "not made of bytes|not bytes"),
        ("/newline", "CR, LF or NUL in a field"),
    ],
)
def test_what_an_application_must_not_do(server: Server, path: str, error: str) -> None:
    with wire(server) as client:
        answer = client.get(path)
        assert answer.status == 500
        assert answer.get("Injected") is None
        assert client.get("/fine").body == b"fine"
    server.wait_for(error)


def test_exc_info(server: Server) -> None:
    with wire(server) as client:
        answer = client.get("/changed-mind")
        assert (answer.status, answer.reason, answer.get("X")) == (503, "Later", "second")
        client.send(render("GET /changed-mind-too-late HTTP/1.1\nHost: a"))
        with pytest.raises(Truncated):
            client.answer()
    server.wait_for("ValueError: found out too late")


def test_hop_by_hop_fields_are_dropped_with_one_warning(serve: Serve) -> None:
    server = serve(APP)
    with wire(server) as client:
        for _ in range(3):
            answer = client.get("/hop")
            assert answer.get("X") == "kept"
            assert answer.get("Keep-Alive") is None
            assert answer.get("Transfer-Encoding") is None
            assert (answer.get("Content-Length"), answer.body) == ("4", b"body")
    server.stop()
    warnings = [line for line in server.log().splitlines() if "[WARNING]" in line]
    assert len(warnings) == 1, warnings
    assert "Keep-Alive, Transfer-Encoding" in warnings[0]
