"""Time-outs are for clients: nobody pays for the time that the worker or the application takes."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from tests.hostile.test_totals import MIB, SINGLE
from tests.integration.conftest import Serve
from tests.integration.wire import Wire, render, wire
from tests.worker_classes import WORKER_CLASSES

APP = """\
import threading
import time
from pathlib import Path

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/compute":
        Path(f"computing-{threading.get_ident()}").touch()
        until = time.monotonic() + 3.5
        while time.monotonic() < until:
            pass
    size = len(environ["wsgi.input"].read())
    body = bytes(int(path[6:])) if path.startswith("/size/") else b"%d" % size
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.parametrize("worker_class", SINGLE)
def test_what_came_while_the_worker_was_busy_has_come_in_time(
    serve: Serve, worker_class: str
) -> None:
    """A kept connection, the rest of a head and of a body, and room for more of a response."""
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "--keep-alive", "2", "--header-timeout", "2",
        "--body-timeout", "2", "--send-timeout", "2", "--response-buffer-size", "20M",
    )  # fmt: skip
    threads = 4 if worker_class == "gthread" else 1
    with wire(server) as kept, wire(server) as head, wire(server) as body, wire(server) as reader:
        computing = [server.connect() for _ in range(threads)]
        reader.send(render(f"GET /size/{12 * MIB} HTTP/1.1\nHost: a"))
        assert reader.head().status == 200
        head.send(b"GET / HTTP/1.1\r\nHo")
        body.send(render("POST / HTTP/1.1\nHost: a\nContent-Length: 6") + b"abc")
        assert kept.get().status == 200
        for client in computing:
            client.sendall(render("GET /compute HTTP/1.1\nHost: a\nConnection: close"))
        server.until(lambda: len([*server.cwd.glob("computing-*")]) == threads, "busy threads")
        kept.send(render("GET / HTTP/1.1\nHost: a"))
        head.send(b"st: a\r\n\r\n")
        body.send(b"def")
        assert len(reader.exactly(12 * MIB)) == 12 * MIB
        assert kept.answer().body == b"0"
        assert head.answer().body == b"0"
        assert body.answer().body == b"6"
        for client in computing:
            assert client.recv(12) == b"HTTP/1.1 200"
            client.close()


@pytest.mark.parametrize("worker_class", SINGLE)
def test_who_reads_slowly_and_steadily_gets_everything(serve: Serve, worker_class: str) -> None:
    """However long it takes: what waits in memory, and what waits in files."""
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "--send-timeout", "2", "--response-buffer-size", "17M"
    )
    received: dict[int, int] = {}

    def read(client: Wire, size: int) -> None:
        count = 0
        while count < size and (piece := client.file.read(256 * 1024)):
            count += len(piece)
            received[size] = count
            time.sleep(0.1)

    with wire(server) as first, wire(server) as second:
        threads = []
        for client, size in ((first, 16 * MIB), (second, 20 * MIB)):
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.send(render(f"GET /size/{size} HTTP/1.1\nHost: a"))
            assert client.head().status == 200
            threads.append(threading.Thread(target=read, args=(client, size)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert received == {16 * MIB: 16 * MIB, 20 * MIB: 20 * MIB}


STREAMED = """\
import time

def app(environ, start_response):
    received = len(environ["wsgi.input"].read(65536))
    print("called", flush=True)
    received += len(environ["wsgi.input"].read(10000))
    time.sleep(2.5)
    print("reading on", flush=True)
    received += len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % received]
"""


@pytest.mark.parametrize("rate", ["0", "1M"])
@pytest.mark.parametrize("worker_class", SINGLE)
def test_the_pause_of_the_application_is_not_the_clients(
    serve: Serve, worker_class: str, rate: str
) -> None:
    """A body that is read while it arrives, by an application that does something else between."""
    server = serve(
        STREAMED, *WORKER_CLASSES[worker_class], "--body-timeout", "2", "--min-body-rate", rate,
        "--request-buffer-size", "64K", "--request-spool-size", "0",
    )  # fmt: skip
    with wire(server) as client:
        client.send(render("POST / HTTP/1.1\nHost: a\nContent-Length: 200000") + bytes(65536))
        server.wait_for("called")
        client.send(bytes(10_000))
        server.wait_for("reading on")
        time.sleep(0.2)
        client.send(bytes(200_000 - 75_536))
        answer = client.answer()
        assert (answer.status, answer.body) == (200, b"200000")
