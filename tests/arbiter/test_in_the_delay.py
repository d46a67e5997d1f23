"""A worker that is started during shutdown_delay knows that the server is about to stop."""

from __future__ import annotations

import os
import signal

import pytest

from tests.faults.conftest import Serve, serve
from tests.servers import Server

__all__ = ["serve"]

APP = """\
import os
from gunicorn.util import stopping

def app(environ, start_response):
    body = f"{os.getpid()} {stopping()}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def answer(server: Server) -> tuple[int, bool]:
    pid, stops = server.get("/").text.split()
    return int(pid), stops == "True"


@pytest.mark.parametrize(
    "options", [(), ("--preload",), ("-k", "gthread"), ("-k", "gevent")], ids=str
)
def test_a_health_check_fails_also_in_a_new_worker(serve: Serve, options: tuple[str, ...]) -> None:
    server = serve("--shutdown-delay", "30", *options, files={"app.py": APP})
    first, stops = server.until(lambda: answer(server))
    assert not stops
    server.send_signal(signal.SIGTERM)
    server.wait_for("Stopping in 30 s")
    server.until(lambda: answer(server)[1], "the first worker knows")
    os.kill(first, signal.SIGKILL)
    server.wait_for("Booting worker", count=2)
    following, stops = answer(server)
    assert following != first
    assert stops
    server.send_signal(signal.SIGINT)
    assert server.wait() == 0
