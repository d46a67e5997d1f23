"""The worker class gevent."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import socketio
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from gunicorn.config import Config
from gunicorn.workers.ggevent import GeventWorker
from tests.certificates import Certificate
from tests.integration.wire import render, wire
from tests.servers import Server
from tests.workers.green import APP, GreenTests

SOCKETIO = """\
from flask import Flask
from flask_socketio import SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app, async_mode="gevent")

@socketio.on("question")
def question(data):
    emit("answer", data)
"""


class TestGevent(GreenTests):
    worker_class = "gevent"

    def test_a_worker_that_never_yields_is_replaced(self, tmp_path: Path) -> None:
        source = APP.replace("time.sleep(float", "while_true(float") + (
            "\ndef while_true(_):\n    while True:\n        pass\n"
        )
        with self.start(tmp_path, "--timeout", "2", source=source) as server:
            [before] = server.wait_workers(1)
            with wire(server) as stuck:
                stuck.send(render("GET /sleep?1 HTTP/1.1\nHost: a"))
                server.wait_for("WORKER TIMEOUT")
                assert stuck.closed()
            server.until(lambda: server.workers() not in ([], [before]), "another worker")
            assert server.get("/").status == 200

    def test_a_silent_websocket_does_not_stop_the_heartbeat(self, websockets: Server) -> None:
        with connect(f"ws://127.0.0.1:{websockets.port}/echo") as client:
            with pytest.raises(TimeoutError):
                client.recv(timeout=3.5)  # longer than the time-out of the worker
            client.send("still there")
            assert client.recv(timeout=10) == "still there"
        websockets.never_says("TIMEOUT")


@pytest.mark.parametrize("name", ["gevent_wsgi", "gevent_pywsgi"])
def test_other_names(name: str) -> None:
    cfg = Config()
    cfg.set("worker_class", name)
    assert cfg.worker_class is GeventWorker


WITHOUT_GEVENT_WEBSOCKET = "import sys\nsys.modules['geventwebsocket'] = None\n"
"""Where it is installed, Flask-SocketIO takes no other way to a WebSocket on gevent."""

CHATS = {
    "simple-websocket": ("gevent", WITHOUT_GEVENT_WEBSOCKET),
    "gevent-websocket": ("geventwebsocket.gunicorn.workers.GeventWebSocketWorker", ""),
}


@pytest.fixture(scope="module", params=CHATS)
def chat(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    worker_class, preamble = CHATS[request.param]
    folder = tmp_path_factory.mktemp("socketio")
    files = {"app.py": preamble + SOCKETIO}
    with Server("app:app", "-k", worker_class, cwd=folder, files=files) as server:
        yield server


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"], ["polling"]])
def test_flask_socketio(chat: Server, transports: list[str]) -> None:
    with socketio.SimpleClient() as client:
        client.connect(chat.url, transports=transports, wait_timeout=10)
        client.emit("question", {"number": 1})
        assert client.receive(timeout=10) == ["answer", {"number": 1}]
        assert client.transport == transports[-1] or len(transports) > 1
    chat.never_says("Error")


# A worker class with a handler of gevent's own server


class TestHandlers:
    options = ("-k", "geventwebsocket.gunicorn.workers.GeventWebSocketWorker")

    def start(self, folder: Path, *options: str, source: str = APP) -> Server:
        files = {"app.py": source}
        return Server("app:app", *self.options, *options, cwd=folder, files=files)

    def test_http(self, tmp_path: Path) -> None:
        with self.start(tmp_path, "--max-requests", "30", "--threads", "2") as server:
            with wire(server) as client:
                first = client.get().body
                assert first.endswith(b" True")
                assert client.get("/stream").body == b"0\n1\n2\n"
                assert client.get("/fails").status == 500
                server.wait_for("RuntimeError: of the application")
            server.until(lambda: server.get("/").body != first, "another worker")
            server.wait_for("Autorestarting worker after current request.")

    def test_tls(self, tmp_path: Path, certificate: Certificate) -> None:
        with self.start(tmp_path, *certificate.args) as server:
            server.tls = certificate.client()
            assert server.get("/stream").text == "0\n1\n2\n"

    def test_a_graceful_stop(self, tmp_path: Path) -> None:
        """What was begun is finished, and a WebSocket does not delay it."""
        with self.start(tmp_path, source=ECHO) as server, wire(server) as busy:
            with connect(f"ws://127.0.0.1:{server.port}/") as client:
                client.send("here")
                assert client.recv(timeout=10) == "here"
                busy.send(render("GET /sleep HTTP/1.1\nHost: a"))
                server.until(lambda: "asleep" in server.log(), "the request")
                server.send_signal(signal.SIGTERM)
                with pytest.raises(ConnectionClosed):
                    client.recv(timeout=10)
            assert busy.answer().body == b"slept"
            assert server.wait() == 0

    def test_hooks_that_are_not_called(self, tmp_path: Path) -> None:
        hook = "def pre_request(worker, req): raise RuntimeError\n"
        (tmp_path / "gunicorn.conf.py").write_text(hook)
        with self.start(tmp_path) as server:
            assert server.get("/").status == 200
            server.wait_for("pre_request and post_request are not called")


ECHO = """\
import time

def app(environ, start_response):
    socket = environ.get("wsgi.websocket")
    if socket is not None:
        while (message := socket.receive()) is not None:
            socket.send(message)
        return []
    print("asleep", flush=True)
    time.sleep(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"slept"]
"""
