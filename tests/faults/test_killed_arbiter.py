"""The arbiter is killed, in the middle of a request or while others have its listeners, too."""

from __future__ import annotations

import os
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.conftest import Serve
from tests.servers import Server, alive, free_port
from tests.worker_classes import WORKER_CLASSES

MANAGER = """\
import os, signal, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
stopping = False
def stop(signum, frame):
    global stopping
    stopping = True
    os.kill(child, signal.SIGTERM)
while not stopping:
    child = os.fork()
    if not child:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
        os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *sys.argv[2:]])
    signal.signal(signal.SIGTERM, stop)
    os.waitpid(child, 0)
"""
"""A service manager with one socket: it keeps that, and starts a server that dies anew."""


def kill(server: Server, pid: int, workers: list[int]) -> None:
    """Kill an arbiter, and wait until its workers have gone."""
    os.kill(pid, signal.SIGKILL)
    server.until(lambda: not any(map(alive, workers)), "the end of its workers")


def test_a_newer_arbiter_goes_on(serve: Serve) -> None:
    server = serve("-w", "2", "--pid", "pid")
    workers = server.wait_serving(2)
    server.send_signal(signal.SIGUSR2)
    new = int(server.wait_for(r"Started a new master \(pid: (\d+)\)")[1])
    server.wait_workers(2, pid=new)
    kill(server, server.pid, workers)
    server.wait()
    for _ in range(20):
        assert server.get("/").status == 200
    server.wait_for("Master has been promoted")
    os.kill(new, signal.SIGTERM)
    server.until(lambda: not alive(new), "the end of the newer arbiter")


def test_the_sockets_of_a_service_manager_stay_usable(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "manager.py").write_text(MANAGER)
    port = free_port()
    command = [sys.executable, "manager.py", str(port)]
    server = serve("-w", "2", bind="", address=("127.0.0.1", port), command=command)
    assert server.get("/").status == 200
    first = int(server.wait_for(r"Listening at: .* \((\d+)\)")[1])
    kill(server, first, server.wait_workers(2, pid=first))
    server.wait_for(r"Listening at:", count=2)
    for _ in range(20):
        assert server.get("/").status == 200
    assert len(set(re.findall(r"Listening at: .* \((\d+)\)", server.log()))) == 2


SLOW = """\
import pathlib, time

def app(environ, start_response):
    pathlib.Path("began").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.05)
    start_response("200 OK", [("Content-Length", "4")])
    return [b"done"]
"""

SLOW_ASGI = """\
import asyncio, pathlib

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan over", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    pathlib.Path("began").touch()
    while not pathlib.Path("go").exists():
        await asyncio.sleep(0.05)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})
"""

SLOW_AIOHTTP = """\
import asyncio, pathlib
from aiohttp import web

async def slow(request):
    pathlib.Path("began").touch()
    while not pathlib.Path("go").exists():
        await asyncio.sleep(0.05)
    return web.Response(text="done")

async def over(app):
    print("lifespan over", flush=True)

app = web.Application()
app.router.add_get("/", slow)
app.on_shutdown.append(over)
"""

APPLICATIONS = {
    **{name: (SLOW, options) for name, options in WORKER_CLASSES.items()},
    "uvicorn": (SLOW_ASGI, ("--worker-class", "uvicorn_worker.UvicornWorker")),
    "aiohttp": (SLOW_AIOHTTP, ("--worker-class", "aiohttp.GunicornWebWorker")),
}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_request_in_progress_is_finished(serve: Serve, name: str, tmp_path: Path) -> None:
    source, options = APPLICATIONS[name]
    server = serve(*options, files={"app.py": source}, wait=False)
    server.wait_ready()
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(server.get, "/")
        server.until((tmp_path / "began").exists, "the request in progress")
        workers = server.workers()
        server.send_signal(signal.SIGKILL)
        server.wait()
        # Not in the way of a new server meanwhile.
        server.until(lambda: not accepts(server), "the end of accepting")
        (tmp_path / "go").touch()
        assert slow.result().text == "done"
    server.until(lambda: not any(map(alive, workers)), "the workers' end")
    if source is not SLOW:
        assert "lifespan over" in server.log()


def accepts(server: Server) -> bool:
    """Whether somebody listens at the address of the server."""
    try:
        server.connect(timeout=0.5).close()
    except OSError:
        return False
    return True
