"""What accept(2) can fail with, and what a worker makes of it: it goes on."""

from __future__ import annotations

import pytest

from tests.hostile.measure import cpu_seconds
from tests.integration.conftest import Serve
from tests.integration.wire import wire
from tests.worker_classes import WORKER_CLASSES

APP = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""

CONFIG = """\
import errno, os, socket

class Faulty(socket.socket):
    faults = []

    def _accept(self):  # which socket.accept calls, too
        if self.faults:
            code = getattr(errno, self.faults.pop(0))
            raise OSError(code, os.strerror(code))
        return super()._accept()

def post_worker_init(worker):
    Faulty.faults = FAULTS
    worker.sockets = [Faulty(fileno=each.detach()) for each in worker.sockets]
"""

SINGLE = [name for name in WORKER_CLASSES if name != "sync-siblings"]


@pytest.mark.parametrize("worker_class", SINGLE)
def test_connections_that_are_gone_already(serve: Serve, worker_class: str) -> None:
    """Nothing is said of them, and the next client is served."""
    config = CONFIG.replace("FAULTS", repr(["ECONNABORTED", "ECONNRESET", "EPROTO", "EINTR"]))
    server = serve(APP, *WORKER_CLASSES[worker_class], "-c", "conf.py", files={"conf.py": config})
    assert server.get("/").status == 200
    server.never_says(r"\[(WARNING|ERROR)\] (?!.*is only maintained)")


@pytest.mark.parametrize("code", ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"])
@pytest.mark.parametrize("worker_class", SINGLE)
def test_nothing_left_to_accept_with(serve: Serve, worker_class: str, code: str) -> None:
    """Idle clients make way, the log says so once, and nothing spins until there is room."""
    config = CONFIG.replace("FAULTS", repr([code] * 2))
    server = serve(APP, *WORKER_CLASSES[worker_class], "-c", "conf.py", files={"conf.py": config})
    server.wait_workers(1)
    used = cpu_seconds(server)
    with wire(server) as client:
        assert client.get("/").status == 200
    assert cpu_seconds(server) - used < 0.4, "of a second"
    server.wait_for("Cannot accept connections: .* Idle ones are closed")
    server.says_in_all("Cannot accept connections", 1)
