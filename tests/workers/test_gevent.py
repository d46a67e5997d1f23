"""The worker class gevent."""

from __future__ import annotations

from pathlib import Path

import pytest
import socketio

from tests.servers import HELLO, Server
from tests.workers.green import GreenTests

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


@pytest.mark.parametrize("name", ["gevent_wsgi", "gevent_pywsgi"])
def test_other_names(tmp_path: Path, name: str) -> None:
    with Server("app:app", "-k", name, cwd=tmp_path, files={"app.py": HELLO}) as server:
        assert server.get("/").body == b"hello"


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]])
def test_flask_socketio(tmp_path: Path, transports: list[str]) -> None:
    with Server("app:app", "-k", "gevent", cwd=tmp_path, files={"app.py": SOCKETIO}) as server:
        with socketio.SimpleClient() as client:
            client.connect(server.url, transports=transports, wait_timeout=10)
            client.emit("question", {"number": 1})
            assert client.receive(timeout=10) == ["answer", {"number": 1}]
            assert client.transport == "websocket" or transports != ["websocket"]
        assert "Error" not in server.log()
