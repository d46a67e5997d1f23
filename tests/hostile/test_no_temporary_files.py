"""Bodies and responses for which no temporary folder can take a file: they are served all the same.

The folders are read-only, full or gone, as `os.open` and `os.pwrite` tell the server.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import pytest

from tests.hostile.test_bounds_are_given_back import wait_for_a_standstill
from tests.integration.conftest import Serve, serve
from tests.integration.wire import chunked, render, wire
from tests.servers import Server
from tests.worker_classes import WORKER_CLASSES

__all__ = ["serve"]

KIB = 1024
SIZE = 3_000_000
LARGE = 12_000_000
"""Bytes of a response that the buffers of the kernel cannot take."""

APP = """\
import hashlib

def app(environ, start_response):
    size = int(environ["QUERY_STRING"] or 0)
    if size:
        start_response("200 OK", [("Content-Length", str(size))])
        return (b"x" * 10_000 for _ in range(size // 10_000))
    digest = hashlib.sha256()
    while block := environ["wsgi.input"].read(65536):
        digest.update(block)
    start_response("200 OK", [])
    return [digest.hexdigest().encode()]
"""

FAULTS = {
    "read-only": """\
import errno, os, pathlib

real = os.open

def open_(path, flags, *args, **options):
    if flags & (os.O_CREAT | os.O_TMPFILE) and not pathlib.Path("mended").exists():
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
    return real(path, flags, *args, **options)

os.open = open_
""",
    "full": """\
import errno, os, pathlib

real = os.pwrite

def pwrite(*args):
    if not pathlib.Path("mended").exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return real(*args)

os.pwrite = pwrite
""",
    "gone": 'tmp_upload_dir = worker_tmp_dir = "gone"\n',
}
REASONS = {
    "read-only": "Read-only file system",
    "full": "No space left on device",
    "gone": "No such file or directory",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_bodies_and_responses_without_a_temporary_file(
    serve: Serve, tmp_path: Path, worker_class: str, fault: str
) -> None:
    (tmp_path / "gone").mkdir()
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "--request-buffer-size", "256K",
        "--response-buffer-size", "256K", files={"gunicorn.conf.py": FAULTS[fault]},
    )  # fmt: skip
    (tmp_path / "gone").rmdir()
    # The first in each minute is the one that is complained of.
    for _ in range(3):
        uploads(server)
        downloads(server)
    folders = ".*/gone" if fault == "gone" else ".*/tmp.*"
    for what, setting in (("request body", "tmp_upload_dir"), ("response", "worker_tmp_dir")):
        server.wait_for(
            rf"\[WARNING\] A {what} cannot be kept in a file in {folders}: {REASONS[fault]}\."
            rf" Give {setting} a folder that can be written to"
        )
    server.never_says("ERROR", "Traceback")
    (tmp_path / ("gone" if fault == "gone" else "mended")).mkdir()
    with wire(server) as client:
        client.send(render(f"POST / HTTP/1.1\nHost: a\nContent-Length: {SIZE}") + bytes(SIZE - 9))
        server.until(lambda: in_files(server) > SIZE - 400 * KIB, "a file, as it is tried again")
        client.send(bytes(9))
        assert client.answer().body == hashlib.sha256(bytes(SIZE)).hexdigest().encode()


def uploads(server: Server) -> None:
    """Bodies above the buffer arrive as they were sent."""
    body = os.urandom(SIZE)
    digest = hashlib.sha256(body).hexdigest().encode()
    with wire(server) as client:
        post = "POST / HTTP/1.1\nHost: a\n"
        assert client.ask(f"{post}Content-Length: {SIZE}", body).body == digest
        pieces = chunked([body[begin : begin + 50_000] for begin in range(0, SIZE, 50_000)])
        assert client.ask(f"{post}Transfer-Encoding: chunked", pieces).body == digest


def downloads(server: Server) -> None:
    """A client that reads late gets the whole of a response above the buffer."""
    with wire(server) as client:
        client.send(render(f"GET /?{LARGE} HTTP/1.1\nHost: a"))
        wait_for_a_standstill(client)
        assert client.answer().body == b"x" * LARGE


def in_files(server: Server) -> int:
    """Bytes in files without a name that the workers have open."""
    total = 0
    for pid in server.workers():
        for name in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{name}"
            with contextlib.suppress(FileNotFoundError):
                link = os.readlink(path)
                if link.endswith(" (deleted)") and not link.startswith(("/memfd:", "/dev/")):
                    total += os.stat(path).st_size
    return total
