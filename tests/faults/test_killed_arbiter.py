"""The arbiter is killed while somebody else has its listeners, who goes on accepting from them."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

from tests.faults.conftest import Serve
from tests.servers import Server, alive, free_port

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
