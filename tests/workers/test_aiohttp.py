"""`aiohttp.GunicornWebWorker`, unmodified."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.certificates import Certificate
from tests.servers import Server

APP = """\
import asyncio
import os
import pathlib

from aiohttp import web

async def index(request):
    return web.Response(text=f"first {os.getpid()} {request.scheme}")

async def slow(request):
    pathlib.Path("began").touch()
    await asyncio.sleep(1)
    return web.Response(text="done")

async def echo(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str("echo " + message.data)
    return socket

def make():
    app = web.Application()
    app.add_routes([web.get("/", index), web.get("/slow", slow), web.get("/ws", echo)])
    return app

app = make()

async def factory():
    if pathlib.Path("broken").exists():
        raise RuntimeError("no database")
    return make()
"""


def aiohttp(folder: Path, *args: str, app: str = "app:app", **options: object) -> Server:
    files = {"app.py": APP}
    worker = "aiohttp.GunicornWebWorker"
    return Server(app, "-k", worker, *args, cwd=folder, files=files, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    args = ("--workers", "2", "--access-logfile", "-")
    with aiohttp(tmp_path_factory.mktemp("aiohttp"), *args) as started:
        yield started


def test_requests_and_their_lines_in_the_access_log(server: Server) -> None:
    assert server.get("/", {"User-Agent": "test"}).text.startswith("first ")
    assert server.get("/nothing").status == 404
    server.wait_for(r'^127.0.0.1 \[.*\] "GET / HTTP/1.1" 200 \d+ "-" "test"$')


def test_websockets(server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/ws") as client:
        client.send("one")
        assert client.recv(10) == "echo one"


def test_its_own_access_log_format(tmp_path: Path) -> None:
    args = ("--access-logfile", "-", "--access-logformat", "%s for %r")
    with aiohttp(tmp_path, *args) as server:
        server.get()
        server.wait_for(r"^200 for GET / HTTP/1.1$")


def test_a_graceful_stop_finishes_requests(tmp_path: Path) -> None:
    with aiohttp(tmp_path) as server, ThreadPoolExecutor() as pool:
        slow = pool.submit(server.get, "/slow")
        server.until((tmp_path / "began").exists, "the slow request")
        server.send_signal(signal.SIGTERM)
        assert slow.result(10).text == "done"
        assert server.wait() == 0


def test_reloads_of_a_factory(tmp_path: Path) -> None:
    with aiohttp(tmp_path, app="app:factory") as server:
        assert server.get().text.startswith("first")
        (tmp_path / "broken").touch()
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload called off")
        (tmp_path / "broken").unlink()
        (tmp_path / "app.py").write_text(APP.replace("first", "second"))
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload done")
        server.until(lambda: server.get().text.startswith("second"), "the new code")


def test_max_requests_and_a_quick_stop(tmp_path: Path) -> None:
    with aiohttp(tmp_path, "--max-requests", "2") as server:
        (before,) = server.wait_workers(1)
        for _ in range(3):
            server.get()
        server.until(lambda: server.workers() not in ([], [before]), "another worker")
        assert server.get().status == 200
        assert server.stop(signal.SIGINT) == 0


def test_tls(tmp_path: Path, certificate: Certificate) -> None:
    with aiohttp(tmp_path, *certificate.args, tls=certificate.client()) as server:
        assert server.get().text.endswith(" https")


def test_a_format_of_gunicorns_own_is_refused_by_the_class(tmp_path: Path) -> None:
    args = ("--access-logfile", "-", "--access-logformat", "%(h)s")
    with aiohttp(tmp_path, *args, wait=False) as server:
        assert server.wait() == 3
        assert "Gunicorn's style options" in server.log()
