"""What a connection has yet to send takes the memory that is counted, and no more."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from gunicorn.workers.outbox import FileRange, Outbox
from gunicorn.workers.room import SMALL, Room
from tests.hostile.measure import memory
from tests.integration.conftest import Serve, serve
from tests.integration.wire import Wire, render
from tests.worker_classes import WORKER_CLASSES

__all__ = ["serve"]

MIB = 1 << 20


class Kernel:
    """Takes so many bytes at a time, and nothing when there are none left to take."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = list(sizes)
        self.taken = b""

    def send(self, data: memoryview) -> int:
        if not self.sizes:
            raise BlockingIOError
        size = min(self.sizes.pop(0), data.nbytes)
        self.taken += data[:size]
        return size


def new_outbox() -> tuple[Outbox, Room]:
    room = Room(1 << 30)
    return Outbox(True, room), room


def test_small_pieces_become_one() -> None:
    outbox, room = new_outbox()
    for number in range(100_000):
        outbox.add(b"%06d" % number)
    assert outbox.size == room.used == 600_000
    assert sum(sys.getsizeof(entry) for entry in outbox.queue) < 600_000 * 1.3
    assert len(outbox.queue) <= 600_000 // SMALL + 1
    kernel = Kernel(*[7000] * 1000)
    assert outbox.flush(0, kernel.send) == 600_000
    assert kernel.taken == b"".join(b"%06d" % number for number in range(100_000))
    assert outbox.size == room.used == 0


def test_what_is_added_while_the_first_is_being_sent_comes_behind_it() -> None:
    outbox, room = new_outbox()
    outbox.add(b"ab")
    outbox.add(b"c" * 5000)
    kernel = Kernel(1)
    assert outbox.flush(0, kernel.send) == 1
    outbox.add(b"d")
    outbox.add(b"e")
    assert outbox.size == 2 + 5000 + 2
    kernel.sizes = [1 << 20] * 9
    outbox.flush(0, kernel.send)
    assert kernel.taken == b"ab" + b"c" * 5000 + b"de"
    assert outbox.size == room.used == 0


def test_a_file_is_sent_whole_whatever_the_kernel_takes_at_a_time(tmp_path: Path) -> None:
    """Where it is read and sent, as there is no sendfile."""
    outbox = Outbox(False, Room(1 << 30))
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)
    ends: list[tuple[int, bool]] = []
    with path.open("rb") as file:
        outbox.add_file(
            FileRange(file.fileno(), 5, 1_000_000, lambda sent, *, lost: ends.append((sent, lost)))
        )
        kernel = Kernel(*[7000] * 200)
        while outbox:
            outbox.flush(0, kernel.send)
    assert kernel.taken == path.read_bytes()[5:1_000_005]
    assert ends == [(1_000_000, False)]


def test_the_last_bytes_of_an_object_keep_all_of_it() -> None:
    outbox, room = new_outbox()
    body = bytes(MIB)
    outbox.add(memoryview(body)[MIB - 10_000 :])
    assert outbox.size == room.used == MIB
    outbox.add(memoryview(body)[MIB - 10 :])
    assert room.used == MIB + 10, "of a few bytes a copy is made"
    outbox.clear()
    assert room.used == 0


APP = """\
def blocks(count):
    for number in range(count):
        yield b"%06d" % number

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return blocks(int(environ["PATH_INFO"][1:]))
"""


@pytest.mark.alone
@pytest.mark.parametrize("worker_class", [name for name in WORKER_CLASSES if "sib" not in name])
def test_small_blocks_that_nobody_reads_take_what_their_bytes_take(
    serve: Serve, tmp_path: Path, worker_class: str
) -> None:
    """Eight responses of 60,000 blocks of 6 bytes, which are chunks: 660 kB each.

    Of a unix socket the kernel keeps little, so nearly all of it waits in the worker.
    """
    path = str(tmp_path / "socket")
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "--response-buffer-size", "8M", bind=f"unix:{path}"
    )

    def ask(count: int) -> Wire:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(30.0)
        sock.connect(path)
        client = Wire(sock)
        client.send(render(f"GET /{count} HTTP/1.1\nHost: a"))
        assert client.head().status == 200
        return client

    with ask(10) as client:
        assert client.chunks() == b"".join(b"%06d" % number for number in range(10))
    before = memory(server)
    clients = [ask(60_000) for _ in range(8)]
    with ask(1) as client:
        # Whoever comes last is answered when the others wait for their clients.
        assert client.chunks() == b"000000"
    grown = memory(server) - before
    print(f"\n{grown / MIB:.1f} MiB")
    assert grown < 16 * MIB, "5 MiB, what grows by an eighth, and what the C library keeps"
    wanted = b"".join(b"6\r\n%06d\r\n" % number for number in range(60_000)) + b"0\r\n\r\n"
    for client in clients:
        assert client.exactly(len(wanted)) == wanted
        client.close()
