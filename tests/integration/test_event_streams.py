"""Responses that are made for as long as somebody wants them, and how they come to their end.

An application's iterable is asked for the next block for as long as something of it can be sent and
somebody is there to get it. Then its `close()` is called, and the worker goes on.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Certificate, write_pair
from tests.integration.conftest import Serve
from tests.integration.wire import render, wire
from tests.servers import Server
from tests.worker_classes import WORKER_CLASSES

APP = '''\
import os
import time

def note(text):
    with open("notes", "a") as file:
        file.write(text + "\\n")

class Stream:
    """What was taken of it, and that it was closed, is noted."""

    def __init__(self, name, blocks):
        self.name = name
        self.blocks = blocks
        self.taken = 0

    def __iter__(self):
        return self

    def __next__(self):
        block = next(self.blocks)
        self.taken += 1
        return block

    def close(self):
        self.blocks.close()
        note(f"closed {self.name} {self.taken}")

def endless(block, pause):
    try:
        while True:
            yield block
            time.sleep(pause)
    finally:
        note("cleaned up")

def alternating():
    while True:
        yield b"event"
        for _ in range(20):
            time.sleep(0.02)
            yield b""

def with_an_end(blocks):
    yield from blocks
    note("came to its end")

def in_time(block, seconds):
    for _ in range(int(seconds * 10)):
        time.sleep(0.1)
        yield block

def after_a_while(seconds):
    yield from in_time(b"", seconds)
    yield b"at last"

def burst():
    for _ in range(128):
        yield bytes(65536)
    note("burst")
    while not os.path.exists("got"):
        time.sleep(0.02)
        yield b"tick"

def app(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    name = path.strip("/")
    status = {"304": "304 Not Modified", "204": "204 No Content"}.get(query, "200 OK")
    fields = [("Content-Length", query)] if query and status == "200 OK" else []
    if name == "late-start":
        def late():
            yield b""
            start_response(status, fields)
            yield from endless(b"x", 0.01)
        return Stream(name, late())
    write = start_response(status, fields)
    if name == "writes":
        write(b"hel")
        write(b"")
        write(b"lo")
        return [b", world"]
    if name == "writes-on":
        for _ in range(50):
            time.sleep(0.1)
            write(b"x")
        return []
    if name == "writes-without-end":
        try:
            while True:
                write(b"x" if query else b"")
                time.sleep(0.02)
        finally:
            note("cleaned up")
    if name in STREAMS:
        return Stream(name, STREAMS[name]())
    return [b"fine"]

STREAMS = {
    "events": lambda: endless(b"0123456789", 0.02),
    "silence": lambda: endless(b"", 0.02),
    "rare": lambda: endless(b"event", 0.5),
    "alternating": alternating,
    "exact": lambda: with_an_end([b"01234", b"56789"]),
    "exact-at-once": lambda: with_an_end([b"0123456789"]),
    "steady": lambda: in_time(b"x", 5),
    "nothing-yet": lambda: after_a_while(0.8),
    "burst": burst,
}
'''

CONFIG = """\
def post_request(worker, req, environ, resp):
    with open("notes", "a") as file:
        file.write("after " + req.path + "\\n")
"""

FILES = {"app.py": APP, "gunicorn.conf.py": CONFIG}


@pytest.fixture(scope="module", params=WORKER_CLASSES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("streams")
    options = (*WORKER_CLASSES[request.param], "--access-logfile", "-", "--keep-alive", "20")
    with Server("app:app", *options, cwd=folder, files=FILES) as server:
        yield server


@pytest.fixture
def notes(server: Server) -> Notes:
    return Notes(server)


class Notes:
    """What the application and the hook have noted since."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.path = server.cwd / "notes"
        self.path.write_text("")

    def wait_for(self, *lines: str) -> None:
        for line in lines:
            self.server.until(lambda line=line: line in self.path.read_text(), f"{line!r} noted")

    def taken(self, name: str) -> int:
        """How many blocks were taken of a stream that is closed."""
        self.wait_for(f"closed {name} ")
        [line] = [each for each in self.path.read_text().splitlines() if f"closed {name}" in each]
        return int(line.split()[2])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/events"), ("HEAD", "/silence"), ("HEAD", "/rare"), ("HEAD", "/events?100"),
        ("HEAD", "/late-start"), ("GET", "/events?304"), ("GET", "/silence?204"),
        ("GET", "/events?204"), ("GET", "/late-start?304"),
    ],
)  # fmt: skip
def test_what_has_no_body_is_not_iterated(
    server: Server, notes: Notes, method: str, path: str
) -> None:
    name = path.strip("/").partition("?")[0]
    before = server.log().count(f'"{method} {path} HTTP/1.1"')
    with wire(server) as client:
        client.send(render(f"{method} {path} HTTP/1.1\nHost: a"))
        head = client.head()
        assert not head.closes
        assert head.get("Transfer-Encoding") is None or method == "HEAD"
        assert client.get("/").body == b"fine", "the connection goes on"
    # One block, with which it has begun: so it can clean up. (One starts with its second.)
    assert notes.taken(name) <= (2 if name == "late-start" else 1)
    notes.wait_for("cleaned up", f"after /{name}")
    server.wait_for(rf'"{method} {path.replace("?", chr(92) + "?")} HTTP/1.1" ', count=before + 1)


@pytest.mark.parametrize("path", ["/events?25", "/events?10", "/events?0"])
def test_what_is_beyond_the_announced_length_is_not_iterated(
    server: Server, notes: Notes, path: str
) -> None:
    length = int(path.partition("?")[2])
    with wire(server) as client:
        assert client.get(path).body == (b"0123456789" * 3)[:length]
        assert client.get("/").body == b"fine"
    # Once more than that, as its own end may be what it has to say.
    assert notes.taken("events") <= max(-(-length // 10), 1) + 1
    notes.wait_for("cleaned up", "after /events")


@pytest.mark.parametrize("name", ["exact", "exact-at-once"])
def test_what_stands_behind_the_last_block_runs(server: Server, notes: Notes, name: str) -> None:
    with wire(server) as client:
        assert client.get(f"/{name}?10").body == b"0123456789"
        notes.wait_for("came to its end", f"closed {name}")
        notes.path.write_text("")
        assert client.get(f"/{name}").body == b"0123456789"
        notes.wait_for("came to its end", f"closed {name}")


def test_write_may_be_called_whatever_is_sent(server: Server) -> None:
    with wire(server) as client:
        assert client.get("/writes").body == b"hello, world"
        for request in ("HEAD /writes", "HEAD /writes?12", "GET /writes?304", "GET /writes?204"):
            client.send(render(f"{request} HTTP/1.1\nHost: a"))
            client.head()
        assert client.get("/writes?4").body == b"hell"
        assert client.get("/writes?12").body == b"hello, world"


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("name", ["events", "silence", "rare", "alternating"])
def test_streams_end_when_their_client_has_gone(
    server: Server, notes: Notes, name: str, reset: bool
) -> None:
    before = server.log().count(f'"GET /{name} HTTP/1.1"')
    with wire(server) as client:
        client.send(render(f"GET /{name} HTTP/1.1\nHost: a"))
        if name != "silence":
            client.head()
        else:
            server.until(lambda: asked(server), "a call in progress")
        if reset:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    notes.wait_for(f"closed {name}", f"after /{name}")
    server.wait_for(rf'"GET /{name} HTTP/1.1" ', count=before + 1)
    assert server.get("/").text == "fine"


def asked(server: Server) -> bool:
    """Whether the server has received all that was sent to it."""
    number = f"{server.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = [row for row in rows if row[1].endswith(f":{number}") and row[3] == "01"]
    return bool(mine) and all(row[4].endswith(":00000000") for row in mine)


@pytest.mark.parametrize("query", ["", "?1"])
def test_who_writes_learns_that_the_client_has_gone(
    server: Server, notes: Notes, query: str
) -> None:
    """Also with nothing to write, and where nothing of it is sent."""
    for method in ("GET", "HEAD"):
        notes.path.write_text("")
        with wire(server) as client:
            client.send(render(f"{method} /writes-without-end{query} HTTP/1.1\nHost: a"))
            client.head()
        notes.wait_for("cleaned up", "after /writes-without-end")
    assert server.get("/").text == "fine"


@pytest.mark.parametrize("path", ["/steady", "/nothing-yet"])
def test_a_client_that_has_closed_its_sending_side_gets_its_stream(
    server: Server, path: str
) -> None:
    with wire(server) as client:
        client.send(render(f"GET {path} HTTP/1.1\nHost: a"))
        client.sock.shutdown(socket.SHUT_WR)
        assert client.answer().body == (b"x" * 50 if path == "/steady" else b"at last")


def test_what_was_kept_back_for_a_slow_client_follows_as_it_reads(
    serve: Serve, server: Server
) -> None:
    """Not only when it is too much, or when the response is at its end."""
    notes = Notes(server)
    with contextlib.suppress(FileNotFoundError):
        (server.cwd / "got").unlink()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    with client:
        client.connect(server.address)
        client.sendall(render("GET /burst HTTP/1.0\nHost: a"))
        notes.wait_for("burst")
        received = b""
        while b"tick" not in received:
            received = received[-3:] + client.recv(1 << 20)
        (server.cwd / "got").touch()
    notes.wait_for("closed burst")


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_who_does_not_read_is_given_up_while_the_response_is_made(
    serve: Serve, worker_class: str
) -> None:
    server = serve(None, *WORKER_CLASSES[worker_class], "--send-timeout", "1", files=FILES)
    notes = Notes(server)
    with wire(server) as client:
        client.send(render("GET /burst HTTP/1.1\nHost: a"))
        notes.wait_for("burst", "closed burst", "after /burst")
    assert server.get("/").text == "fine"


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_streams_over_tls_end_when_their_client_has_gone(
    serve: Serve, tmp_path: Path, worker_class: str
) -> None:
    pair = Certificate(*write_pair(tmp_path, "server"))
    options = (*WORKER_CLASSES[worker_class], *pair.args)
    server = serve(None, *options, files=FILES, tls=pair.client())
    for name in ("events", "silence", "rare"):
        notes = Notes(server)
        with wire(server) as client:
            client.send(render(f"GET /{name} HTTP/1.1\nHost: a"))
            if name != "silence":
                client.head()
        notes.wait_for(f"closed {name}", f"after /{name}")


@pytest.mark.parametrize("path", ["/steady", "/writes-on"])
@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_a_response_that_is_sent_in_pieces_may_take_longer_than_the_timeout(
    serve: Serve, worker_class: str, path: str
) -> None:
    server = serve(None, *WORKER_CLASSES[worker_class], "--timeout", "2", files=FILES)
    Notes(server)
    assert server.get(path).body == b"x" * 50
    assert server.stop() == 0
    assert "[ERROR]" not in server.log()
    assert "[CRITICAL]" not in server.log()


@pytest.mark.parametrize("worker_class", ["sync", "sync-siblings", "tornado", "gthread"])
def test_blocks_without_a_byte_are_no_sign_of_life(serve: Serve, worker_class: str) -> None:
    server = serve(None, *WORKER_CLASSES[worker_class], "--timeout", "2", files=FILES)
    Notes(server)
    with wire(server) as client:
        client.send(render("GET /silence HTTP/1.1\nHost: a"))
        if worker_class == "gthread":
            server.wait_for(r"has been in the application for .* GET /silence")
        else:
            server.wait_for(r"hangs: GET /silence")
