"""Workers run code of the application, perhaps as another user: nothing they write is obeyed.

Each application here attacks the arbiter with what a worker holds. The server is to go on: it
reloads, it answers, and it ends when it is told to.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.arbiter.conftest import Serve
from tests.servers import Server

BELL = """\
import os, threading

def ring(bell):
    os.set_blocking(bell, BLOCKING)
    while True:
        try:
            os.write(bell, b"x" * 4096)
        except BlockingIOError:
            pass

def app(environ, start_response):
    worker = environ["gunicorn.worker"]
    threading.Thread(target=ring, args=(worker.bell,), daemon=True).start()
    return [b"hello"]
"""


def goes_on(server: Server) -> None:
    """The server reloads and answers; its end is looked at by the fixture."""
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    assert server.get("/").status == 200


@pytest.mark.parametrize("blocking", [True, False])
def test_a_worker_that_rings_without_end(serve: Serve, blocking: bool) -> None:
    server = serve(files={"app.py": BELL.replace("BLOCKING", str(blocking))})
    for _ in range(4):
        assert server.get("/").text == "hello"
    goes_on(server)


@pytest.mark.alone
def test_a_worker_that_rings_without_end_does_not_keep_the_arbiter_busy(serve: Serve) -> None:
    server = serve(files={"app.py": BELL.replace("BLOCKING", "True")})
    assert server.get("/").text == "hello"
    before, began = cpu_time(server.pid), time.monotonic()
    time.sleep(2)
    share = (cpu_time(server.pid) - before) / (time.monotonic() - began)
    assert share < 0.3, f"the arbiter took {share:.0%} of a CPU"


def cpu_time(pid: int) -> float:
    """Seconds of CPU time that a process has taken (proc(5))."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
