"""A client that is as fast as the worker does not have it to itself: turns have an end.

What it sends is there whenever the worker looks, and what it is sent it has read already. So the
worker would never find that there is nothing to do for it, until the transfer is over.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.test_totals import SINGLE
from tests.integration.conftest import Serve
from tests.integration.wire import render
from tests.servers import Server
from tests.worker_classes import WORKER_CLASSES

APP = """\
from wsgiref.util import FileWrapper

def app(environ, start_response):
    if environ["PATH_INFO"] == "/file":
        file = open("large", "rb")
        start_response("200 OK", [("Content-Length", str(64 << 20))])
        return environ["wsgi.file_wrapper"](file)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"here"]
"""

FAST_CLIENTS = """\
import os
import select
from time import sleep

from gunicorn.syscalls import poll
from gunicorn.workers.connection import BODY_RECEIVE_SIZE, ConnectionLife

def slow(call):
    def slowly(*args):
        sleep(0.004)
        return call(*args)
    return slowly

os.pread, os.pwrite = slow(os.pread), slow(os.pwrite)

def wait(sock, events):
    ready = poll()
    ready.register(sock.fileno(), events)
    return ready.poll(5000)

def receive_all(sock):
    def recv(size):
        if size != BODY_RECEIVE_SIZE:
            return sock.recv(size)
        received = sock.recv(size)
        while received and len(received) < size and wait(sock, select.POLLIN):
            more = sock.recv(size - len(received))
            if not more:
                break
            received += more
        return received
    return recv

def send_all(sock):
    def send(data):
        sent = 0
        while sent < len(data) and wait(sock, select.POLLOUT):
            sent += sock.send(memoryview(data)[sent:])
        return sent
    return send

opened = ConnectionLife.open

def open(self, loop, sock, peer, server):
    opened(self, loop, sock, peer, server)
    self.recv, self.send_bytes = receive_all(sock), send_all(sock)

ConnectionLife.open = open
"""
"""What is a matter of luck with a real client: there is always more to receive and room to send.

Reading and writing files takes its time, so that who wants a turn is there before it is over.
"""

SIZE = 64 << 20

WANTED = 2
"""Answers that somebody else gets meanwhile, and more: one comes at the beginning in any case."""


def upload(client: socket.socket) -> None:
    client.sendall(render(f"POST / HTTP/1.1\nHost: a\nContent-Length: {SIZE}"))
    for _ in range(SIZE >> 20):
        client.sendall(bytes(1 << 20))


def download(client: socket.socket) -> None:
    client.sendall(render("GET /file HTTP/1.1\nHost: a"))
    left = SIZE
    while left > 0:
        left -= len(client.recv(1 << 20))


def answers_during(server: Server, transfer: Callable[[socket.socket], None]) -> int:
    """How many requests of other clients are answered while one transfers something."""
    with server.connect() as client:
        thread = threading.Thread(target=transfer, args=(client,))
        thread.start()
        count = 0
        while thread.is_alive():
            assert server.get("/").text == "here"
            count += 1
    print(count, "answers")
    return count


@pytest.mark.parametrize("worker_class", SINGLE)
def test_others_are_served_during_an_upload(
    serve: Serve, tmp_path: Path, worker_class: str
) -> None:
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "-c", "conf.py", files={"conf.py": FAST_CLIENTS}
    )  # fmt: skip
    assert answers_during(server, upload) > WANTED


@pytest.mark.parametrize("worker_class", SINGLE)
def test_others_are_served_during_a_download(
    serve: Serve, tmp_path: Path, worker_class: str
) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(64 << 20)
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "--no-sendfile", "-c", "conf.py",
        files={"conf.py": FAST_CLIENTS},
    )  # fmt: skip
    assert answers_during(server, download) > WANTED
