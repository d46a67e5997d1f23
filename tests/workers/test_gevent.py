"""The worker class gevent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import socketio
from websockets.sync.client import connect

from gunicorn.config import Config
from gunicorn.workers.ggevent import GeventWorker
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
        assert "TIMEOUT" not in websockets.log()


@pytest.mark.parametrize("name", ["gevent_wsgi", "gevent_pywsgi"])
def test_other_names(name: str) -> None:
    cfg = Config()
    cfg.set("worker_class", name)
    assert cfg.worker_class is GeventWorker


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("socketio")
    with Server("app:app", "-k", "gevent", cwd=folder, files={"app.py": SOCKETIO}) as server:
        yield server


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]])
def test_flask_socketio(chat: Server, transports: list[str]) -> None:
    with socketio.SimpleClient() as client:
        client.connect(chat.url, transports=transports, wait_timeout=10)
        client.emit("question", {"number": 1})
        assert client.receive(timeout=10) == ["answer", {"number": 1}]
        assert client.transport == "websocket" or transports != ["websocket"]
    assert "Error" not in chat.log()
