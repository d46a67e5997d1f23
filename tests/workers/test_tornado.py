"""The tornado worker: Tornado applications with WebSockets, and WSGI callables."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect

from tests.certificates import Certificate
from tests.servers import HELLO, Server

APP = """\
import asyncio
import os
import time

from tornado import web, websocket

class Main(web.RequestHandler):
    def get(self):
        self.write(f"{os.getpid()} {self.request.remote_ip} {self.request.protocol}")

    def post(self):
        self.write(self.request.body[::-1])

class Slow(web.RequestHandler):
    async def get(self):
        self.application.settings["began"].write_text("yes")
        await asyncio.sleep(1)
        self.write("done")

class Stuck(web.RequestHandler):
    def get(self):
        time.sleep(60)

class Echo(websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message("echo " + message)

import pathlib

app = web.Application(
    [("/", Main), ("/slow", Slow), ("/stuck", Stuck), ("/ws", Echo)], began=pathlib.Path("began")
)
"""

WSGI = """\
from tornado.ioloop import IOLoop

def app(environ, start_response):
    IOLoop.current().add_callback(print, "called back", flush=True)
    body = environ["wsgi.input"].read() + str(environ["wsgi.multithread"]).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""


def tornado(folder: Path, *args: str, app: str = APP, **options: object) -> Server:
    files = {"app.py": app}
    return Server("app:app", "-k", "tornado", *args, cwd=folder, files=files, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    args = ("--access-logfile", "-", "--forwarded-allow-ips", "10.0.0.1")
    with tornado(tmp_path_factory.mktemp("tornado"), *args) as started:
        yield started


def websocket(server: Server) -> str:
    return f"ws://127.0.0.1:{server.port}/ws"


def test_a_tornado_application_is_served(server: Server) -> None:
    reply = server.get()
    assert reply.status == 200
    assert reply.headers["Server"].startswith("TornadoServer/")
    assert server.request("POST", "/", b"abc").text == "cba"
    assert server.get("/nothing").status == 404


def test_every_request_is_in_the_access_log(server: Server) -> None:
    length = len(server.get("/?q=1", {"User-Agent": "test"}).text)
    server.wait_for(rf'^127.0.0.1 - - \[.*\] "GET /\?q=1 HTTP/1.1" 200 {length} "-" "test"$')


def test_websockets(server: Server) -> None:
    with connect(websocket(server)) as client:
        client.send("one")
        assert client.recv(10) == "echo one"


def test_only_trusted_peers_speak_for_others(server: Server, tmp_path: Path) -> None:
    fields = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    assert server.get("/", fields).text.endswith(" 127.0.0.1 http")
    with tornado(tmp_path) as trusting:
        assert trusting.get("/", fields).text.endswith(" 192.0.2.7 https")


def test_a_graceful_stop_answers_what_was_begun_and_says_goodbye(tmp_path: Path) -> None:
    with tornado(tmp_path) as server, ThreadPoolExecutor() as pool:
        with connect(websocket(server)) as client:
            slow = pool.submit(server.get, "/slow")
            server.until((tmp_path / "began").exists, "the slow request")
            server.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosedOK, match="1001"):
                client.recv(10)
        assert slow.result(10).text == "done"
        assert server.wait() == 0


def test_reloading_and_retiring(tmp_path: Path) -> None:
    with tornado(tmp_path, "--max-requests", "3") as server:
        first = {server.get().text.split()[0] for _ in range(3)}
        assert len(first) == 1
        server.wait_for("Autorestarting worker after current request")
        server.until(lambda: server.get().text.split()[0] not in first, "another worker")
        (tmp_path / "app.py").write_text(APP.replace("[::-1]", ".upper()"))
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload done")
        server.until(lambda: server.request("POST", "/", b"abc").text == "ABC", "the new code")


def test_a_stuck_loop_is_replaced(tmp_path: Path) -> None:
    with tornado(tmp_path, "--timeout", "1") as server, ThreadPoolExecutor() as pool:
        (before,) = server.wait_workers(1)
        lost = pool.submit(server.get, "/stuck")
        server.wait_for(r"WORKER TIMEOUT")
        server.until(lambda: server.workers() not in ([], [before]), "another worker")
        with pytest.raises(OSError):
            lost.result(10)
        assert server.get().status == 200


def test_tls(tmp_path: Path, certificate: Certificate) -> None:
    with tornado(tmp_path, *certificate.args, tls=certificate.client()) as server:
        assert server.get().text.endswith(" https")
        server.send_signal(signal.SIGINT)
        assert server.wait() == 0


def test_keepalive_ends_idle_connections(tmp_path: Path) -> None:
    with tornado(tmp_path, "--keep-alive", "1") as server, server.connect() as client:
        began = time.monotonic()
        for _ in range(2):
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
        assert client.recv(4096) == b""
        assert time.monotonic() - began > 0.5


def test_a_wsgi_callable_shares_its_process_with_the_io_loop(tmp_path: Path) -> None:
    with tornado(tmp_path, app=WSGI) as server:
        with server.connect() as client:
            for _ in range(3):
                client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
                data = client.recv(4096)
                assert data.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"hiFalse" in data
        server.wait_for("^called back", count=3)


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_other_worker_classes_name_a_tornado_application(tmp_path: Path, worker: str) -> None:
    files = {"app.py": APP}
    with Server("app:app", "-k", worker, cwd=tmp_path, files=files, wait=False) as server:
        assert server.wait() == 4
        assert re.search(
            f"this is a Tornado application, and worker class '{worker}' serves WSGI callables."
            " Use worker class 'tornado'.",
            server.log(),
        )


def test_checking_the_configuration_names_it(tmp_path: Path) -> None:
    for worker, code in (("sync", 1), ("tornado", 0)):
        args = ("-k", worker, "--check-config")
        with Server("app:app", *args, cwd=tmp_path, files={"app.py": APP}, wait=False) as server:
            assert server.wait() == code
            assert ("this is a Tornado application" in server.log()) == bool(code)


def test_an_asgi_application_on_sync_is_named(tmp_path: Path) -> None:
    files = {"app.py": "async def app(scope, receive, send): ...\n"}
    with Server("app:app", cwd=tmp_path, files=files, wait=False) as server:
        assert server.wait() == 4
        assert "Use a worker class for ASGI" in server.log()


def test_a_reload_to_the_wrong_interface_is_called_off(tmp_path: Path) -> None:
    with Server("app:app", cwd=tmp_path, files={"app.py": HELLO}) as server:
        assert server.get().text == "hello"
        (tmp_path / "app.py").write_text(APP)
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload called off")
        assert server.get().text == "hello"
