"""Files by `wsgi.file_wrapper`: what is sent of each kind, and how each transfer ends."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import Wire, render, wire
from tests.servers import Server
from tests.worker_classes import WORKER_CLASSES

APP = """\
import io
import os
import subprocess
import time

def note(text):
    with open("notes", "a") as file:
        file.write(text + "\\n")

class Noting(io.FileIO):
    def close(self):
        if not self.closed:
            note("closed " + os.path.basename(self.name))
        super().close()

def source(path):
    if path == "/pipe":
        return subprocess.Popen(["printf", "from a pipe"], stdout=subprocess.PIPE).stdout
    if path == "/grows":
        with open("grows", "wb") as file:
            file.write(b"x" * 100)
        found = open("grows", "rb")
        with open("grows", "ab") as file:
            file.write(b"y" * 100)
        return found
    if path == "/at-its-end":
        found = open("large", "rb")
        found.seek(0, 2)
        return found
    return open(path, "rb")

def app(environ, start_response):
    path = environ["PATH_INFO"]
    # Long enough for gthread to hand the lead over before each call.
    time.sleep(0.005)
    if path == "/work":
        time.sleep(0.3)
    if path in ("/", "/work"):
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]
    length = environ["QUERY_STRING"]
    fields = [("Content-Length", length)] if length else []
    if path == "/download":
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](Noting("large"))
    start_response("200 OK", fields)
    return environ["wsgi.file_wrapper"](source(path))
"""

CONFIG = """\
def post_request(worker, req, environ, resp):
    with open("notes", "a") as file:
        file.write("after " + environ["PATH_INFO"] + "\\n")
"""

LARGE = 64 << 20


def start(serve: Serve, folder: Path, worker_class: str, *options: str) -> Server:
    with (folder / "large").open("wb") as file:
        file.truncate(LARGE)
    (folder / "notes").touch()
    return serve(
        APP, *WORKER_CLASSES[worker_class], "--access-logfile", "-", *options,
        files={"gunicorn.conf.py": CONFIG},
    )  # fmt: skip


def begin_and_reset(server: Server) -> Wire:
    """Begin a download, take some of it, and have the connection reset when it is closed."""
    client = wire(server)
    client.send(render("GET /download HTTP/1.1\nHost: a"))
    assert client.head().status == 200
    client.exactly(1000)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return client


def ended(server: Server, count: int) -> None:
    """Every download has ended, with all that belongs to it."""
    notes = server.cwd / "notes"
    server.wait_for(r'"GET /download HTTP/1.1" 200 ', count=count)
    for line in ("closed large", "after /download"):
        server.until(lambda line=line: notes.read_text().count(line) == count, line)


def has_ended_well(server: Server) -> None:
    assert server.stop() == 0
    log = server.log()
    assert not [line for line in log.splitlines() if "[ERROR]" in line or "Traceback" in line], log


@pytest.mark.parametrize("extra", [(), ("--no-sendfile",)], ids=["sendfile", "no-sendfile"])
@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_nothing_is_skipped_when_a_download_is_reset(
    serve: Serve, tmp_path: Path, worker_class: str, extra: tuple[str, ...]
) -> None:
    limit = ("--request-timeout", "1") if worker_class in ("sync", "gthread") else ()
    server = start(serve, tmp_path, worker_class, *extra, *limit)
    for _ in range(30):
        assert server.get("/").text == "ok"
    for number in range(3):
        begin_and_reset(server).close()
        ended(server, number + 1)
        assert server.get("/").text == "ok"
    # A request that was never counted down would pass its time-out now.
    for _ in range(12):
        assert server.get("/work").text == "ok"
    has_ended_well(server)


def test_nothing_is_skipped_when_all_threads_are_busy(serve: Serve, tmp_path: Path) -> None:
    """The guard finds it, which never calls the application: a thread brings it to its end."""
    server = start(serve, tmp_path, "gthread", "--threads", "2")
    for _ in range(30):
        assert server.get("/").text == "ok"
    for number in range(3):
        download = begin_and_reset(server)
        workers = [wire(server) for _ in range(4)]
        for each in workers:
            each.send(render("GET /work HTTP/1.1\nHost: a"))
        server.until(lambda: busy(server), "a call in progress")
        download.close()
        for each in workers:
            assert each.answer().body == b"ok"
            each.close()
        ended(server, number + 1)
    has_ended_well(server)


def busy(server: Server) -> bool:
    """Whether a thread waits in the application's sleep."""
    [pid] = server.workers()
    tasks = Path(f"/proc/{pid}/task")
    names = [(each / "wchan").read_text() for each in tasks.iterdir()]
    return any("nanosleep" in name for name in names)


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_files_of_every_kind(serve: Serve, tmp_path: Path, worker_class: str) -> None:
    """What has no size that could be believed is read to its end."""
    server = start(serve, tmp_path, worker_class)
    version = Path("/proc/version").read_bytes()
    online = Path("/sys/devices/system/cpu/online").read_bytes()
    (tmp_path / "empty").touch()
    expected = {
        "/proc/version": version,
        "/sys/devices/system/cpu/online": online,
        "/pipe": b"from a pipe",
        "/at-its-end": b"",
        str(tmp_path / "empty"): b"",
        f"/proc/version?{len(version)}": version,
    }
    with wire(server) as client:
        for path, content in expected.items():
            assert client.get(path).body == content, path
        grown = client.get("/grows").body
        assert grown.startswith(b"x" * 100)
        assert len(grown) == 200
        for path in ("/proc/version", "/pipe"):
            answer = client.ask(f"HEAD {path} HTTP/1.1\nHost: a")
            assert (answer.status, answer.body) == (200, b"")
        assert client.get("/").body == b"ok", "the connection is in step"
    has_ended_well(server)
