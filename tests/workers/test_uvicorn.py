"""`uvicorn_worker.UvicornWorker`, unmodified: ASGI applications and their WebSockets."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.certificates import Certificate
from tests.servers import Server

WORKER = "uvicorn_worker.UvicornWorker"

FASTAPI = """\
import os

from fastapi import FastAPI, WebSocket

app = FastAPI()

@app.get("/items/{number}")
async def item(number: int):
    return {"number": number, "pid": os.getpid()}

@app.websocket("/ws")
async def echo(socket: WebSocket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text("echo " + text)
"""

STARLETTE = """\
import asyncio
import contextlib
import os
import pathlib
import time

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

def index(request):
    return PlainTextResponse(f"first {os.getpid()} {request.url.scheme}")

async def slow(request):
    pathlib.Path("began").touch()
    await asyncio.sleep(1)
    return PlainTextResponse("done")

async def stuck(request):
    time.sleep(60)

@contextlib.asynccontextmanager
async def lifespan(app):
    if pathlib.Path("broken").exists():
        raise RuntimeError("no database")
    yield
    print("lifespan over", flush=True)

routes = [Route("/", index), Route("/slow", slow), Route("/stuck", stuck)]
app = Starlette(routes=routes, lifespan=lifespan)
"""


def uvicorn(folder: Path, *args: str, app: str = STARLETTE, **options: object) -> Server:
    files = {"app.py": app}
    return Server("app:app", "-k", WORKER, *args, cwd=folder, files=files, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("uvicorn")
    args = ("--workers", "2", "--access-logfile", "-")
    with uvicorn(folder, *args, app=FASTAPI) as started:
        yield started


def test_fastapi(server: Server) -> None:
    reply = server.get("/items/7")
    assert reply.status == 200
    assert '"number":7' in reply.text
    assert server.get("/items/seven").status == 422
    server.wait_for(r'127.0.0.1:\d+ - "GET /items/7 HTTP/1.1" 200')


def test_websockets(server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/ws") as client:
        for text in ("one", "two"):
            client.send(text)
            assert client.recv(10) == f"echo {text}"


def test_workers_come_and_go(server: Server) -> None:
    server.wait_workers(2)
    server.send_signal(signal.SIGTTIN)
    server.wait_workers(3)
    server.send_signal(signal.SIGTTOU)
    server.wait_workers(2)
    os.kill(server.workers()[0], signal.SIGKILL)
    server.wait_for("was sent SIGKILL")
    server.wait_workers(2)
    assert server.get("/items/1").status == 200


def test_a_graceful_stop_finishes_requests_and_the_lifespan(tmp_path: Path) -> None:
    with uvicorn(tmp_path) as server, ThreadPoolExecutor() as pool:
        slow = pool.submit(server.get, "/slow")
        server.until((tmp_path / "began").exists, "the slow request")
        server.send_signal(signal.SIGTERM)
        assert slow.result(10).text == "done"
        assert server.wait() == 0
        assert "lifespan over" in server.log()


def test_a_quick_stop_is_heard(tmp_path: Path) -> None:
    """The class takes QUIT for nothing; INT follows it."""
    with uvicorn(tmp_path, "--graceful-timeout", "60") as server:
        assert server.get().status == 200
        assert server.stop(signal.SIGINT) == 0
        assert "lifespan over" in server.log()


def test_a_reload_waits_for_the_lifespan(tmp_path: Path) -> None:
    with uvicorn(tmp_path, "--workers", "2") as server:
        assert server.get().text.startswith("first")
        (tmp_path / "broken").touch()
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload called off")
        assert server.get().text.startswith("first")
        (tmp_path / "broken").unlink()
        (tmp_path / "app.py").write_text(STARLETTE.replace("first", "second"))
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload done")
        server.until(lambda: server.get().text.startswith("second"), "the new code")


def test_an_application_that_cannot_start_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with uvicorn(tmp_path, wait=False) as server:
        assert server.wait() == 3
        assert "no database" in server.log()


def test_source_changes_reload(tmp_path: Path) -> None:
    with uvicorn(tmp_path, "--reload", "--reload-engine", "poll") as server:
        server.until(lambda: server.get().text.startswith("first"), "the old code")
        (tmp_path / "app.py").write_text("syntax error " + STARLETTE)
        server.wait_for("The application cannot be loaded")
        server.until(lambda: "SyntaxError" in server.get().text, "the error page")
        (tmp_path / "app.py").write_text(STARLETTE.replace("first", "other"))
        server.until(lambda: server.get().text.startswith("other"), "the new code")


def test_max_requests(tmp_path: Path) -> None:
    with uvicorn(tmp_path, "--max-requests", "2") as server:
        server.until(lambda: len(server.workers()) == 1, "a worker")
        (before,) = server.workers()
        for _ in range(2):
            server.get()
        server.until(lambda: server.workers() not in ([], [before]), "another worker")
        assert str(before) not in server.get().text


def test_a_stuck_loop_is_replaced(tmp_path: Path) -> None:
    with uvicorn(tmp_path, "--timeout", "2") as server, ThreadPoolExecutor() as pool:
        (before,) = server.wait_workers(1)
        lost = pool.submit(server.get, "/stuck")
        server.wait_for("WORKER TIMEOUT")
        server.until(lambda: server.workers() not in ([], [before]), "another worker")
        with pytest.raises(OSError):
            lost.result(10)


def test_tls(tmp_path: Path, certificate: Certificate) -> None:
    with uvicorn(tmp_path, *certificate.args, tls=certificate.client()) as server:
        assert server.get().text.endswith(" https")


def test_a_unix_socket(tmp_path: Path) -> None:
    with uvicorn(tmp_path, bind=f"unix:{tmp_path}/s") as server:
        assert server.get().status == 200
