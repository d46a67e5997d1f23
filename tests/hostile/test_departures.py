"""Clients that leave in the middle of a response: normal, and nothing to talk about."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import Truncated, render, wire
from tests.worker_classes import WORKER_CLASSES

MIB = 1 << 20
SIZE = 32 * MIB

APP = """\
def blocks(count):
    for _ in range(count):
        yield bytes(65536)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Length", str(SIZE))])
    if path == "/file":
        return environ["wsgi.file_wrapper"](open("large", "rb"))
    return blocks(SIZE // 65536) if path == "/blocks" else [bytes(SIZE)]

SIZE = 32 << 20
"""


@pytest.mark.parametrize("extra", [(), ("--no-sendfile",)], ids=["sendfile", "no-sendfile"])
@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_clients_that_leave(
    serve: Serve, tmp_path: Path, worker_class: str, extra: tuple[str, ...]
) -> None:
    """The access log has their responses; of the client it is told at the level debug only."""
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "--access-logfile", "-", "--log-level", "debug", *extra
    )
    with (tmp_path / "large").open("wb") as file:
        file.truncate(SIZE)
    for path in ("/file", "/blocks", "/whole"):
        with wire(server) as client:
            client.send(render(f"GET {path} HTTP/1.1\nHost: a"))
            assert client.head().status == 200
            client.exactly(1000)
        server.wait_for(rf'"GET {path} HTTP/1.1" 200 ')
        server.wait_for(r"\[DEBUG\] Client")
    server.never_says(r"\[(WARNING|ERROR)\] (?!.*is only maintained)")


@pytest.mark.parametrize("extra", [(), ("--no-sendfile",)], ids=["sendfile", "no-sendfile"])
def test_a_file_that_shrinks(serve: Serve, tmp_path: Path, extra: tuple[str, ...]) -> None:
    """That is no client's fault: a warning, and an end that says that the response is cut."""
    server = serve(APP, *extra)
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(SIZE)
    with wire(server) as client:
        client.send(render("GET /file HTTP/1.1\nHost: a"))
        assert client.head().status == 200
        with large.open("r+b") as file:
            file.truncate(MIB)
        with pytest.raises(Truncated):
            client.exactly(SIZE)
    server.wait_for(rf"\[WARNING\] The response to GET /file ended after \d+ of {SIZE} bytes")
