"""Workers that have grown together are replaced one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.conftest import Serve, serve

__all__ = ["serve"]

APP = """\
import os
import time

if os.path.exists("grown"):
    time.sleep(2.5)
print("loaded", flush=True)

hoard = []

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def app(environ, start_response):
    if environ["PATH_INFO"] == "/grow":
        while resident() < 92 << 20:
            hoard.append(b"x" * (1 << 20) * 4)
    start_response("200 OK", [("Content-Length", "4"), ("X-Worker", str(os.getpid()))])
    return [b"here"]
"""


@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent", "eventlet"])
def test_the_next_is_chosen_when_the_last_has_a_successor(
    serve: Serve, tmp_path: Path, worker_class: str
) -> None:
    """Each new worker takes long to load, and the memory is looked at once a second."""
    server = serve(
        "-w", "3", "-k", worker_class, "--worker-max-memory", "80M", files={"app.py": APP}
    )
    old = server.wait_serving(3)
    (tmp_path / "grown").touch()
    unheard = set(old)

    def all_have_grown() -> bool:
        unheard.discard(int(server.get("/grow").headers["X-Worker"]))
        return not unheard

    server.until(all_have_grown, "three large workers")
    server.until(lambda: not set(old) & set(server.workers()), "their successors", 60)
    lines = re.findall(r"Replacing worker|^loaded$", server.log(), re.MULTILINE)
    assert lines[:3] == ["loaded"] * 3
    assert lines[3:9] == ["Replacing worker", "loaded"] * 3
