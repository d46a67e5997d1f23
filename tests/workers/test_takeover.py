"""Applications that take the client's socket over, with the libraries that people use for it."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.servers import Server, read_all, until

SOCK = """\
import os

from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)

@app.route("/")
def index():
    return "plain"

@app.route("/pid")
def pid():
    return str(os.getpid())

@sock.route("/echo")
def echo(ws):
    while True:
        ws.send(ws.receive())

@sock.route("/once")
def once(ws):
    ws.send("only this")
"""

SOCKETIO = """\
from flask import Flask
from flask_socketio import SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app, async_mode="threading")

@socketio.on("ask")
def answer(data):
    emit("answer", data[::-1])
"""

RAW = """\
def app(environ, start_response):
    sock = environ["gunicorn.socket"]
    if environ["PATH_INFO"] == "/look":
        body = repr((sock.getpeername()[0], sock.family.name)).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    sock.sendall(b"welcome\\n")
    while line := sock.recv(100):
        sock.sendall(line.upper())
        if b"end" in line:
            break
    if environ["PATH_INFO"] == "/raise":
        raise RuntimeError("after taking it")
    return [b"nobody is to see this"]
"""


def connect(server: Server, path: str) -> Any:
    return websocket.create_connection(f"ws://127.0.0.1:{server.port}{path}", timeout=10)


@pytest.fixture(scope="module")
def flask_sock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sock")
    options = (
        *("--threads", "4", "--timeout", "1", "--request-timeout", "1"),
        *("--access-logfile", "access.log"),
    )
    with Server("app:app", *options, cwd=folder, files={"app.py": SOCK}) as server:
        yield server


def test_flask_sock(flask_sock: Server) -> None:
    client = connect(flask_sock, "/echo")
    for text in ("one", "two", "x" * 100_000):
        client.send(text)
        assert client.recv() == text
    assert flask_sock.get().text == "plain"
    client.close()
    flask_sock.never_says("Error handling")


def test_a_socket_may_stay_for_longer_than_the_timeout(flask_sock: Server) -> None:
    """It is no hang; and the heartbeat goes on, so the worker stays."""
    pid = flask_sock.get("/pid").text
    client = connect(flask_sock, "/echo")
    time.sleep(2.2)
    client.send("still here")
    assert client.recv() == "still here"
    client.close()
    assert flask_sock.get("/pid").text == pid
    flask_sock.never_says("TIMEOUT")
    flask_sock.never_says("in the application for")


def test_the_server_ends_the_conversation(flask_sock: Server) -> None:
    client = connect(flask_sock, "/once")
    assert client.recv() == "only this"
    opcode, _ = client.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    client.close()
    log = Path(flask_sock.cwd, "access.log")
    until(lambda: '"GET /once HTTP/1.1" 101' in log.read_text(), "its line in the access log")


def test_threads_come_back(flask_sock: Server) -> None:
    """Clients that vanish without a word leave their threads to others."""
    for _ in range(8):
        client = connect(flask_sock, "/echo")
        client.send("a")
        assert client.recv() == "a"
        client.sock.close()
    assert flask_sock.get().text == "plain"


def test_flask_socketio(tmp_path: Path) -> None:
    options = ("--threads", "8")
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": SOCKETIO}) as server:
        client = connect(server, "/socket.io/?EIO=4&transport=websocket")
        assert client.recv().startswith("0{")
        client.send("40")
        assert client.recv().startswith("40")
        client.send('42["ask","drawer"]')
        assert client.recv() == '42["answer","reward"]'
        polling = server.get("/socket.io/?EIO=4&transport=polling")
        assert polling.text.startswith("0{")
        client.close()


def test_a_graceful_stop_says_good_bye(tmp_path: Path) -> None:
    with Server("app:app", "--threads", "2", cwd=tmp_path, files={"app.py": SOCK}) as server:
        client = connect(server, "/echo")
        client.send("a")
        assert client.recv() == "a"
        server.send_signal(signal.SIGTERM)
        opcode, data = client.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        assert int.from_bytes(data[:2], "big") == 1001
        began = time.monotonic()
        assert server.wait() == 0
        assert time.monotonic() - began < 10
        client.close()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("raw")
    with Server("app:app", "--threads", "2", cwd=folder, files={"app.py": RAW}) as server:
        yield server


def test_what_came_with_the_request_comes_first(raw: Server) -> None:
    with raw.connect() as client:
        client.sendall(b"GET /take HTTP/1.1\r\nHost: a\r\n\r\nhello ")
        received = b""
        while b"HELLO " not in received:
            received += client.recv(100)
        client.sendall(b"the end")
        received += read_all(client)
    assert received == b"welcome\nHELLO THE END"


def test_looking_is_not_taking(raw: Server) -> None:
    with raw.connect() as client:
        for _ in range(3):
            client.sendall(b"GET /look HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(1000).endswith(b"('127.0.0.1', 'AF_INET')")


def test_a_failure_afterwards_is_logged_and_not_sent(raw: Server) -> None:
    with raw.connect() as client, contextlib.suppress(ConnectionResetError):
        client.sendall(b"GET /raise HTTP/1.1\r\nHost: a\r\n\r\nend")
        assert read_all(client) == b"welcome\nEND"
    raw.wait_for("RuntimeError: after taking it")
