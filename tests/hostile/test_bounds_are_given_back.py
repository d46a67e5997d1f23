"""What a client took of the worker's room is there for others when it has gone, however it went.

A bound that is not given back is a leak of another kind: after enough clients everybody finds the
room full, and is served from files, streamed, or refused. So clients come and go here until they
would have used up the room several times, and then somebody needs it.
"""

from __future__ import annotations

import contextlib
import fcntl
import resource
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.hostile.test_totals import (
    APP,
    BLOCK,
    KIB,
    MIB,
    SINGLE,
    expected,
    files_of,
    options,
    spool,
)
from tests.integration.conftest import Serve
from tests.integration.wire import Truncated, Wire, render, wire
from tests.servers import Server, until
from tests.worker_classes import WORKER_CLASSES

__all__ = ["spool"]

LARGE_HEAD = "GET / HTTP/1.1\nHost: a\n" + f"X-Large: {'x' * 8000}\n" * 80
"""640 kB: while it is not whole it shares the room in memory with bodies and responses."""


def a_large_head_is_read(server: Server) -> bool:
    """Whether there is room in memory for one; else it is refused before it is whole."""
    data = render(LARGE_HEAD)
    with wire(server) as client:
        with contextlib.suppress(ConnectionError):
            client.send(data[:-2])
            client.send(data[-2:])
        with contextlib.suppress(Truncated, ConnectionError):
            return client.answer().status == 200
    return False


def is_kept_in_a_file(server: Server, folder: Path, size: int) -> bool:
    """Whether a body of `size` bytes waits in a file for its end, but for the last of it."""
    with wire(server) as client:
        client.send(render(f"POST / HTTP/1.1\nHost: a\nContent-Length: {size}") + bytes(size - 9))
        server.until(lambda: files_of(server, folder) > size - 200 * KIB, "a file")
        client.send(bytes(9))
        assert client.answer().status == 200
    return True


@contextlib.contextmanager
def no_room_on_disk(server: Server, at: int) -> object:
    """No file of the workers can grow beyond `at` bytes: what a full disk looks like to them."""
    workers = server.workers()
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in workers]
    for pid, (_, hard) in zip(workers, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (at, hard))
    yield
    for pid, limits in zip(workers, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("worker_class", SINGLE)
def test_memory_of_responses_that_nobody_read(serve: Serve, worker_class: str) -> None:
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "--worker-buffer-size", "6M",
        "--response-buffer-size", "12M", "--response-spool-size", "0",
    )  # fmt: skip
    for number in range(5):
        # The kernel takes up to 2.5 MiB of it, and the client's side as much again at most.
        with wire(server) as client:
            client.send(render(f"GET /whole/{9 * MIB // BLOCK}/{number} HTTP/1.1\nHost: a"))
            assert client.head().status == 200
    server.until(lambda: a_large_head_is_read(server), "room for a head")


@pytest.mark.parametrize("worker_class", SINGLE)
def test_memory_of_bodies_that_were_broken_off(serve: Serve, worker_class: str) -> None:
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "--worker-buffer-size", "4M",
        "--request-buffer-size", "4M",
    )  # fmt: skip
    size = 3_700_000
    for _ in range(3):
        with wire(server) as client:
            client.send(render(f"POST / HTTP/1.1\nHost: a\nContent-Length: {size}"))
            client.send(bytes(size - 1))
            assert_heard_out(client)
    server.until(lambda: a_large_head_is_read(server), "room for a head")


@pytest.mark.parametrize("worker_class", SINGLE)
def test_files_of_bodies_that_were_broken_off(serve: Serve, spool: Path, worker_class: str) -> None:
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "-c", "conf.py", "--worker-spool-size", "6M",
        "--request-buffer-size", "256K", files={"conf.py": options(spool)},
    )  # fmt: skip
    for _ in range(4):
        with wire(server) as client:
            client.send(render(f"POST / HTTP/1.1\nHost: a\nContent-Length: {4 * MIB}"))
            client.send(bytes(4 * MIB - 1))
            assert_heard_out(client)
        server.until(lambda: files_of(server, spool) == 0, "the end of the file")
    assert is_kept_in_a_file(server, spool, 4 * MIB)
    assert "cannot be kept in a file" not in server.log()


@pytest.mark.parametrize("worker_class", SINGLE)
def test_files_of_responses_that_nobody_read(serve: Serve, spool: Path, worker_class: str) -> None:
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "-c", "conf.py", "--worker-spool-size", "12M",
        "--response-buffer-size", "256K", files={"conf.py": options(spool)},
    )  # fmt: skip
    for number in range(4):
        with wire(server) as client:
            client.send(render(f"GET /blocks/{14 * MIB // BLOCK}/{number} HTTP/1.1\nHost: a"))
            server.until(lambda: files_of(server, spool) > 5 * MIB, "a response in files")
        server.until(lambda: files_of(server, spool) == 0, "the end of the files")
    assert is_kept_in_a_file(server, spool, 4 * MIB)
    assert "cannot be kept in a file" not in server.log()


@pytest.mark.parametrize("worker_class", SINGLE)
def test_what_a_full_disk_had_no_place_for(serve: Serve, spool: Path, worker_class: str) -> None:
    """Bodies and responses are served all the same, and go to files again when there is room."""
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "-c", "conf.py", "--worker-spool-size", "2M",
        "--request-buffer-size", "1M", "--response-buffer-size", "256K",
        files={"conf.py": options(spool)},
    )  # fmt: skip
    assert server.get("/").status == 200
    path = f"{9 * MIB // BLOCK}/0"
    with no_room_on_disk(server, 64 * KIB):
        for _ in range(9):
            with wire(server) as client:
                head = f"POST / HTTP/1.1\nHost: a\nContent-Length: {3 * MIB}"
                assert client.ask(head, bytes(3 * MIB)).status == 200
        for _ in range(5):
            with wire(server) as client:
                client.send(render(f"GET /blocks/{path} HTTP/1.1\nHost: a"))
                wait_for_a_standstill(client)
                assert client.answer().body == expected(path)
    server.wait_for(r"\[WARNING\] A response cannot be kept in a file in .* too large")
    server.wait_for(r"\[WARNING\] A request body cannot be kept in a file in .* too large")
    assert is_kept_in_a_file(server, spool, 2_000_000)


@pytest.mark.parametrize("worker_class", SINGLE)
def test_large_heads_that_were_broken_off(serve: Serve, worker_class: str) -> None:
    """Those who left do not count: else one who came before them would have to make way."""
    server = serve(APP, *WORKER_CLASSES[worker_class], "--worker-buffer-size", "4M")
    data = render(LARGE_HEAD)
    with wire(server) as first:
        first.send(data[: 100 * KIB])
        for _ in range(10):
            with wire(server) as client:
                client.send(data[:-2])
                assert_heard_out(client)
        first.send(data[100 * KIB :])
        assert first.answer().status == 200


def assert_heard_out(client: Wire) -> None:
    """The client breaks off; all that it sent has been received when the server has closed, too."""
    client.sock.shutdown(1)
    assert client.closed()


def wait_for_a_standstill(client: Wire) -> None:
    """Return when the server sends nothing more to a client that does not read."""

    def is_still() -> bool:
        before = waiting_bytes(client)
        time.sleep(0.2)
        return 0 < before == waiting_bytes(client)

    until(is_still, "a standstill")


def waiting_bytes(client: Wire) -> int:
    return int.from_bytes(fcntl.ioctl(client.sock, termios.FIONREAD, bytes(4)), sys.byteorder)
