"""What all clients of a worker come to together: its memory and its files have bounds.

Nothing is lost beyond them, and nobody hangs: what finds no room waits elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.measure import memory
from tests.integration.conftest import Serve
from tests.integration.wire import Truncated, Wire, render, wire
from tests.servers import DEADLINE, Server
from tests.worker_classes import WORKER_CLASSES

MIB = 1 << 20
KIB = 1 << 10

APP = """\
import hashlib
import threading

together = threading.Barrier(3)

def blocks(path, count):
    for number in range(count):
        yield hashlib.sha256(b"%s %d" % (path.encode(), number)).digest() * 2048

def app(environ, start_response):
    kind, _, rest = environ["PATH_INFO"][1:].partition("/")
    if kind == "together":
        together.wait(20)
    if kind in ("blocks", "together"):
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return blocks(rest, int(rest.partition("/")[0]))
    if kind == "whole":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return [b"".join(blocks(rest, int(rest.partition("/")[0])))]
    digest = hashlib.sha256()
    while block := environ["wsgi.input"].read(50_000):
        digest.update(block)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [digest.hexdigest().encode()]
"""
BLOCK = 64 * KIB


def expected(path: str) -> bytes:
    """The body that the application makes for `blocks/PATH` and `whole/PATH`."""
    return b"".join(
        hashlib.sha256(b"%s %d" % (path.encode(), number)).digest() * 2048
        for number in range(int(path.partition("/")[0]))
    )


@contextlib.contextmanager
def clients(server: Server, count: int) -> Iterator[list[Wire]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(wire(server)) for _ in range(count)]


def is_cut(client: Wire) -> bool:
    """Whether the server has given up a client that reads nothing."""
    poll = select.poll()
    poll.register(client.sock, 0)
    return bool(poll.poll(0))


def files_of(server: Server, folder: Path) -> int:
    """Bytes in the files below `folder` that workers have open; they have no names any more."""
    total = 0
    for worker in server.workers():
        for name in os.listdir(f"/proc/{worker}/fd"):
            path = f"/proc/{worker}/fd/{name}"
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(path).startswith(str(folder)):
                    total += os.stat(path).st_size
    return total


class Watch:
    """Looks again and again how much is in files, and remembers the most."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.most = 0
        self.some = threading.Event()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self) -> None:
        while not self.over.wait(0.002):
            self.most = max(self.most, files_of(self.server, self.folder))
            if self.most:
                self.some.set()

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def options(spool: Path) -> str:
    return f"tmp_upload_dir = worker_tmp_dir = {str(spool)!r}\n"


def at_once(work: Callable[..., None], arguments: Iterable[tuple[Any, ...]]) -> None:
    """Call `work` with each of `arguments` in a thread of its own, and wait for all."""
    threads = [threading.Thread(target=work, args=each) for each in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


SINGLE = [name for name in WORKER_CLASSES if name != "sync-siblings"]
"""Those with one worker, whose room the clients of a test share."""


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_uploads_beyond_the_room_in_files_are_streamed(
    serve: Serve, spool: Path, worker_class: str
) -> None:
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "-c", "conf.py", "--worker-spool-size", "6M",
        "--request-buffer-size", "256K", files={"conf.py": options(spool)},
    )  # fmt: skip
    bodies = [os.urandom(4 * MIB) for _ in range(6)]
    answers: dict[int, bytes] = {}

    def upload(number: int, client: Wire) -> None:
        head = f"POST /upload HTTP/1.1\nHost: a\nContent-Length: {4 * MIB}"
        client.send(render(head) + bodies[number][: 3 * MIB])
        # Nobody has all before somebody has something in a file.
        assert watch.some.wait(DEADLINE)
        client.send(bodies[number][3 * MIB :])
        answers[number] = client.answer().body

    with clients(server, 6) as crowd, Watch(server, spool) as watch:
        at_once(upload, enumerate(crowd))
    assert answers == {
        number: hashlib.sha256(body).hexdigest().encode() for number, body in enumerate(bodies)
    }
    assert 0 < watch.most <= 6 * MIB * len(server.workers())
    server.until(lambda: files_of(server, spool) == 0, "the end of the files")
    with wire(server) as client:
        client.send(render(f"POST / HTTP/1.1\nHost: a\nContent-Length: {4 * MIB}") + bytes(3 * MIB))
        server.until(lambda: files_of(server, spool) > 2 * MIB, "room again")
        client.send(bytes(MIB))
        assert client.answer().status == 200


@pytest.mark.parametrize("worker_class", SINGLE)
def test_responses_beyond_the_room_in_files_wait_for_their_clients(
    serve: Serve, spool: Path, worker_class: str
) -> None:
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "-c", "conf.py", "--worker-spool-size", "20M",
        "--response-buffer-size", "256K", files={"conf.py": options(spool)},
    )  # fmt: skip
    paths = [f"{14 * MIB // BLOCK}/{number}" for number in range(4)]
    bodies: dict[str, bytes] = {}

    def download(client: Wire, path: str) -> None:
        bodies[path] = client.answer().body

    with clients(server, 4) as crowd, Watch(server, spool) as watch:
        for client, path in zip(crowd, paths, strict=True):
            client.send(render(f"GET /blocks/{path} HTTP/1.1\nHost: a"))
        server.wait_for(r"\[WARNING\] A response cannot be kept in a file in .* is taken")
        server.until(lambda: watch.most > 10 * MIB, "responses in files")
        at_once(download, zip(crowd, paths, strict=True))
    assert bodies == {path: expected(path) for path in paths}
    assert watch.most <= 20 * MIB
    server.says_in_all(r"\[WARNING\] A response cannot be kept", 1)
    server.until(lambda: files_of(server, spool) == 0, "the end of the files")


@pytest.mark.parametrize("worker_class", SINGLE)
def test_who_reads_nothing_cannot_keep_the_room_from_others(
    serve: Serve, spool: Path, worker_class: str
) -> None:
    """More of them than there is room for, and no time-out is near: they make way."""
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "-c", "conf.py", "--worker-spool-size", "20M",
        "--response-buffer-size", "256K", "--send-timeout", "600",
        files={"conf.py": options(spool)},
    )  # fmt: skip
    with clients(server, 3) as crowd:
        for client in crowd:
            client.send(render(f"GET /blocks/{14 * MIB // BLOCK} HTTP/1.1\nHost: a"))
        server.wait_for(r"\[WARNING\] A response cannot be kept in a file in .* is taken")
        server.until(lambda: any(is_cut(client) for client in crowd), "room for the others")
        assert server.get("/").status == 200
        whole = 0
        for client in crowd:
            with contextlib.suppress(Truncated, ConnectionResetError):
                client.answer()
                whole += 1
        assert 0 < whole < 3


@pytest.mark.parametrize("worker_class", ["gthread", "gevent", "eventlet"])
def test_calls_that_wait_for_each_others_room_make_way(
    serve: Serve, spool: Path, worker_class: str
) -> None:
    """No response is finished, so none is the loop's to cut: all are in the middle of the call."""
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "-c", "conf.py", "--worker-spool-size", "20M",
        "--response-buffer-size", "256K", "--send-timeout", "600",
        files={"conf.py": options(spool)},
    )  # fmt: skip
    with clients(server, 3) as crowd:
        for client in crowd:
            client.send(render(f"GET /together/{14 * MIB // BLOCK} HTTP/1.1\nHost: a"))
        server.until(lambda: any(is_cut(client) for client in crowd), "room for the others")
        whole = 0
        for client in crowd:
            with contextlib.suppress(Truncated, ConnectionResetError):
                client.answer()
                whole += 1
        assert 0 < whole < 3


@pytest.mark.parametrize("worker_class", SINGLE)
def test_who_sends_nothing_cannot_keep_the_room_from_others(
    serve: Serve, spool: Path, worker_class: str
) -> None:
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "-c", "conf.py", "--worker-spool-size", "6M",
        "--request-buffer-size", "256K", "--body-timeout", "600", files={"conf.py": options(spool)},
    )  # fmt: skip
    head = render(f"POST / HTTP/1.1\nHost: a\nContent-Length: {4 * MIB}")
    with clients(server, 2) as (silent, other):
        silent.send(head + bytes(3 * MIB))
        server.until(lambda: files_of(server, spool) > 2 * MIB, "a body in a file")
        other.send(head + bytes(4 * MIB))
        assert other.answer().status == 200, "it was streamed"
        answer = silent.answer()
        assert (answer.status, answer.closes) == (408, True)
    server.until(lambda: files_of(server, spool) == 0, "the end of the files")


@pytest.mark.parametrize("coding", ["length", "chunks"])
def test_bodies_within_their_bounds_leave_memory_for_files(
    serve: Serve, spool: Path, coding: str
) -> None:
    """A hundred of them, each a little less than what one may keep in memory."""
    size, missing = MIB - 10, 100
    begins, ends = f"Content-Length: {size}", bytes(missing)
    first = bytes(size - missing)
    if coding == "chunks":
        begins, ends = "Transfer-Encoding: chunked", bytes(missing) + b"\r\n0\r\n\r\n"
        first = b"%x\r\n" % size + first
    server = serve(APP, "-c", "conf.py", "--worker-buffer-size", "8M",
                   files={"conf.py": options(spool)})  # fmt: skip
    assert server.get("/").status == 200
    before = memory(server)
    with clients(server, 100) as crowd:
        for client in crowd:
            client.send(render(f"POST / HTTP/1.1\nHost: a\n{begins}") + first)
        server.until(lambda: files_of(server, spool) > 70 * MIB, "bodies in files")
        assert server.get("/").status == 200
        grown = memory(server) - before
        print(f"\n{grown / MIB:.1f} MiB for {100 * size / MIB:.0f}")
        assert grown < 24 * MIB, "8 MiB, 64 KiB for each, and what the C library keeps"
        digest = hashlib.sha256(bytes(size)).hexdigest().encode()
        for client in crowd:
            client.send(ends)
            assert client.answer().body == digest


@pytest.mark.parametrize("kind", ["blocks", "whole"])
@pytest.mark.parametrize("extra", [(), ("--no-sendfile",)], ids=["sendfile", "no-sendfile"])
def test_responses_within_their_bounds_leave_memory_for_files(
    serve: Serve, spool: Path, kind: str, extra: tuple[str, ...]
) -> None:
    server = serve(
        APP, "-c", "conf.py", "--worker-buffer-size", "8M", "--response-buffer-size", "4M", *extra,
        files={"conf.py": options(spool)},
    )  # fmt: skip
    assert server.get("/").status == 200
    before = memory(server)
    # The kernel takes up to 2.5 MiB of each, and the client's side as much again at most.
    paths = [f"{7 * MIB // BLOCK}/{number}" for number in range(30)]
    with clients(server, 30) as crowd:
        for client, path in zip(crowd, paths, strict=True):
            client.send(render(f"GET /{kind}/{path} HTTP/1.1\nHost: a"))
        for client in crowd:
            assert client.head().status == 200
        assert server.get("/").status == 200
        grown = memory(server) - before
        waiting = files_of(server, spool)
        print(f"\n{grown / MIB:.1f} MiB in memory, {waiting / MIB:.0f} in files")
        assert waiting > 10 * MIB
        assert grown < 32 * MIB, "8 MiB, one response in the making, what the C library keeps"
        for client, path in zip(crowd, paths, strict=True):
            body = client.chunks() if kind == "blocks" else client.exactly(7 * MIB)
            assert body == expected(path)


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_slow_clients_with_large_heads_make_way(serve: Serve, worker_class: str) -> None:
    """Heads cannot wait in files: who takes longest is refused, as many as it needs."""
    server = serve(APP, *WORKER_CLASSES[worker_class], "--worker-buffer-size", "8M")
    assert server.get("/").status == 200
    before = memory(server)
    begun = b"GET / HTTP/1.1\r\nHost: a\r\n" + f"X-Large: {'x' * 8000}\r\n".encode() * 60
    with clients(server, 150) as crowd:
        first, others = crowd[:10], crowd[10:]
        for client in first:
            client.send(begun)
        server.until(lambda: memory(server) - before > 4 * MIB, "the first heads")
        for client in others:
            client.send(begun)
        for client in first:
            answer = client.answer()
            assert (answer.status, answer.closes) == (408, True)
        server.until(lambda: memory(server) - before < 24 * MIB, "less memory")
        answered = 0
        for client in others:
            # Not a byte more is read of those that were refused.
            with contextlib.suppress(ConnectionError):
                client.send(b"\r\n")
                answered += client.answer().status == 200
        assert 10 <= answered < len(others) / 2
        assert server.get("/").status == 200
