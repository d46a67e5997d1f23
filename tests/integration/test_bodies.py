"""Bodies too large to be in one piece, to and from clients that take their time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import Wire, chunked, render, wire
from tests.servers import Server
from tests.worker_classes import WORKER_CLASSES

SIZE = 20 * 1024 * 1024

APP = """\
import hashlib, io, os

SIZE = 20 * 1024 * 1024
BLOCK = bytes(range(256)) * 256

calls = 0
sendfile = os.sendfile

def counted(*args):
    global calls
    calls += 1
    return sendfile(*args)

os.sendfile = counted

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/upload":
        stream, digest, size, most = environ["wsgi.input"], hashlib.sha256(), 0, 0
        while block := stream.read(65536):
            digest.update(block)
            size += len(block)
        start_response("200 OK", [])
        return [f"{size} {digest.hexdigest()} {environ.get('CONTENT_LENGTH')}".encode()]
    if path == "/partly":
        environ["wsgi.input"].read(10)
        start_response("413 Content Too Large", [])
        return [b"enough"]
    if path == "/echo":
        stream = environ["wsgi.input"]
        start_response("200 OK", [])
        return iter(lambda: stream.read(65536), b"")
    if path == "/lines":
        lines = sum(1 for line in environ["wsgi.input"] if line.endswith(b"\\n"))
        start_response("200 OK", [])
        return [str(lines).encode()]
    if path == "/memory":
        import resource
        start_response("200 OK", [])
        return [str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss).encode()]
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    if path == "/bytes":
        return [BLOCK * (SIZE // len(BLOCK))]
    if path == "/list":
        return [BLOCK] * (SIZE // len(BLOCK))
    if path == "/generator":
        return (BLOCK for _ in range(SIZE // len(BLOCK)))
    if path == "/file":
        return environ["wsgi.file_wrapper"](open("big.bin", "rb"))
    if path == "/from-the-middle":
        file = open("big.bin", "rb")
        file.seek(SIZE - 100)
        return environ["wsgi.file_wrapper"](file)
    if path == "/in-memory":
        return environ["wsgi.file_wrapper"](io.BytesIO(BLOCK), 1000)
    if path == "/calls":
        return [str(calls).encode()]
    raise LookupError(path)
"""


@pytest.fixture(scope="module", params=[*WORKER_CLASSES, "no-sendfile"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bodies")
    (folder / "big.bin").write_bytes(content())
    options = WORKER_CLASSES.get(request.param, ("--no-sendfile",))
    with Server("app:app", *options, cwd=folder, files={"app.py": APP}) as server:
        yield server


def content() -> bytes:
    return bytes(range(256)) * (SIZE // 256)


def test_an_upload_with_a_length(server: Server) -> None:
    body = os.urandom(SIZE)
    with wire(server) as client:
        answer = client.ask(f"POST /upload HTTP/1.1\nHost: a\nContent-Length: {SIZE}", body)
        assert answer.body.decode() == f"{SIZE} {hashlib.sha256(body).hexdigest()} {SIZE}"
        assert client.get("/in-memory").status == 200, "the connection is kept"


def test_an_upload_in_chunks(server: Server) -> None:
    body = os.urandom(SIZE)
    sizes = [1, 7, 70_000, 1_000_000, 3, SIZE]
    pieces, position = [], 0
    for size in sizes:
        pieces.append(body[position : position + size])
        position += size
    with wire(server) as client:
        answer = client.ask(
            "POST /upload HTTP/1.1\nHost: a\nTransfer-Encoding: chunked", chunked(pieces)
        )
        assert answer.body.decode().split()[:2] == [str(SIZE), hashlib.sha256(body).hexdigest()]
        assert client.get("/in-memory").status == 200, "the connection is kept"


def test_a_chunked_upload_too_large_for_a_file_is_streamed(serve: Serve) -> None:
    """It has no length then, but every byte of it arrives."""
    server = serve(APP, "--request-spool-size", "3M")
    body = os.urandom(SIZE // 2)
    pieces = [body[start : start + 100_000] for start in range(0, len(body), 100_000)]
    with wire(server) as client:
        answer = client.ask(
            "POST /upload HTTP/1.1\nHost: a\nTransfer-Encoding: chunked", chunked(pieces)
        )
    digest = hashlib.sha256(body).hexdigest()
    assert answer.body.decode() == f"{len(body)} {digest} None"


def test_a_chunked_upload_goes_to_the_folder_that_is_set(serve: Serve, tmp_path: Path) -> None:
    """A file without a name, which ends with the request."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    server = serve(APP, "-c", "conf.py", files={"conf.py": f"tmp_upload_dir = {str(folder)!r}\n"})
    with wire(server) as client:
        client.send(render("POST /upload HTTP/1.1\nHost: a\nTransfer-Encoding: chunked"))
        client.send(b"%x\r\n" % SIZE + bytes(SIZE))
        worker = server.wait_workers(1)[0]
        server.until(lambda: in_folder(worker, folder), "a file in the folder")
        client.send(b"\r\n0\r\n\r\n")
        assert client.answer().body.decode().split()[0] == str(SIZE)
        client.get("/calls")
        assert not in_folder(worker, folder)
    assert not list(folder.iterdir())


def test_a_chunked_upload_that_the_disk_has_no_room_for_is_streamed(serve: Serve) -> None:
    full = """\
import errno, os
pwrite = os.pwrite

def full(descriptor, data, position):
    if position > 1_500_000:
        raise OSError(errno.ENOSPC, "No space left on device")
    return pwrite(descriptor, bytes(data)[:100_000], position)

os.pwrite = full
"""
    server = serve(full + APP)
    body = os.urandom(SIZE // 4)
    with wire(server) as client:
        answer = client.ask(
            "POST /upload HTTP/1.1\nHost: a\nTransfer-Encoding: chunked", chunked([body])
        )
    assert answer.body.decode() == f"{len(body)} {hashlib.sha256(body).hexdigest()} None"
    server.wait_for(
        r"\[WARNING\] A request body cannot be kept in a file .* No space left on device"
    )


def in_folder(pid: int, folder: Path) -> list[str]:
    """The files below `folder` that a process has open."""
    links = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return [link for link in links if link.startswith(str(folder))]


def test_lines_of_a_large_body(server: Server) -> None:
    body = b"a line of some length, and then the next\n" * 100_000
    with wire(server) as client:
        answer = client.ask(f"POST /lines HTTP/1.1\nHost: a\nContent-Length: {len(body)}", body)
        assert answer.body == b"100000"


def test_uploads_do_not_stay_in_memory(server: Server) -> None:
    """A body is handed on as it comes: ten times its size changes nothing."""
    with wire(server) as client:
        client.ask(f"POST /upload HTTP/1.1\nHost: a\nContent-Length: {SIZE}", bytes(SIZE))
        before = int(client.get("/memory").body)
        client.send(render(f"POST /upload HTTP/1.1\nHost: a\nContent-Length: {SIZE * 4}"))
        for _ in range(4):
            client.send(bytes(SIZE))
        assert client.answer().status == 200
        grown = int(client.get("/memory").body) - before
    assert grown < 20 * 1024, f"{grown} KiB more for {SIZE * 4 // 1024} KiB"


def test_an_answer_before_the_end_of_the_body(serve: Serve) -> None:
    """The client learns the answer though it is still sending, and that the connection ends."""
    server = serve(APP, "--request-spool-size", "0")
    with wire(server) as client:
        client.send(render(f"POST /partly HTTP/1.1\nHost: a\nContent-Length: {SIZE}"))
        client.send(bytes(2 * 1024 * 1024))
        answer = client.answer()
        assert (answer.status, answer.body, answer.closes) == (413, b"enough", True)
        assert client.closed()


def test_an_echo_while_the_body_arrives(server: Server) -> None:
    body = os.urandom(SIZE // 4)
    with wire(server) as client:
        sender = threading.Thread(
            target=client.send,
            args=(render(f"POST /echo HTTP/1.1\nHost: a\nContent-Length: {len(body)}") + body,),
        )
        sender.start()
        answer = client.answer()
        sender.join()
        assert answer.body == body


@pytest.mark.parametrize("path", ["/bytes", "/list", "/generator", "/file"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_download_by_a_reader_that_pauses(server: Server, path: str, version: str) -> None:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.settimeout(20)
    sock.connect(server.address)
    with Wire(sock) as client:
        client.send(render(f"GET {path} HTTP/{version}\nHost: a"))
        # The server fills every buffer on the way before anything is read.
        server.until(lambda: pending(sock) > 60_000, "the client's buffer is full")
        answer = client.answer()
        assert len(answer.body) == SIZE
        assert answer.body == content()
        if not answer.closes:
            assert client.get("/in-memory").status == 200, "the connection is kept"


def pending(sock: socket.socket) -> int:
    """Bytes that wait to be read."""
    return len(sock.recv(1 << 20, socket.MSG_PEEK))


def test_parts_and_kinds_of_files(server: Server) -> None:
    with wire(server) as client:
        assert client.get("/from-the-middle").body == content()[-100:]
        assert client.get("/in-memory").body == content()[:65536]
        head = client.ask("HEAD /file HTTP/1.1\nHost: a")
        assert head.status == 200
        assert client.get("/from-the-middle").status == 200


def test_who_sends_files(server: Server) -> None:
    with wire(server) as client:
        before = int(client.get("/calls").body)
        assert client.get("/from-the-middle").body == content()[-100:]
        after = int(client.get("/calls").body)
    assert (after == before) is ("--no-sendfile" in server.command)


def test_a_file_that_nobody_reads_stops_nobody(server: Server) -> None:
    with wire(server) as slow, wire(server) as other:
        slow.send(render("GET /file HTTP/1.1\nHost: a"))
        assert other.get("/calls").status == 200
        assert slow.answer().body == content()


def test_files_are_closed(server: Server) -> None:
    with wire(server) as client:
        for _ in range(5):
            client.get("/from-the-middle")

    server.until(
        lambda: (
            not [
                file
                for worker in server.workers()
                for file in in_folder(worker, server.cwd)
                if file.endswith(".bin")
            ]
        ),
        "no file is left open",
    )
