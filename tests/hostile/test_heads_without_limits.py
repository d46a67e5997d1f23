"""A user may set no limits on heads; the server has one all the same (16 MiB)."""

from __future__ import annotations

import pytest

from gunicorn import compiled
from tests.hostile.test_totals import KIB, MIB, SINGLE
from tests.integration.conftest import Serve
from tests.integration.wire import render, wire
from tests.worker_classes import WORKER_CLASSES

APP = """\
def app(environ, start_response):
    body = str(len(environ["HTTP_X"])).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.parametrize("parser", ["fast", "python"] if compiled.available() else ["python"])
@pytest.mark.parametrize("worker_class", SINGLE)
def test_a_head_without_end_is_refused(serve: Serve, worker_class: str, parser: str) -> None:
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "--limit-request-line", "0",
        "--limit-request-field_size", "0", "--limit-request-fields", "0", "--http-parser", parser,
    )  # fmt: skip
    with wire(server) as client:
        size = 15 * MIB
        assert client.get("/", f"X: {'x' * size}").body == b"%d" % size
    with wire(server) as client:
        client.send(render("GET / HTTP/1.1\nHost: a")[:-2] + b"X: ")
        for _ in range(17 * MIB // KIB):
            client.send(b"x" * KIB)
        answer = client.answer()
        assert (answer.status, answer.closes) == (431, True)
    server.wait_for(r"\[WARNING\] Invalid request from ip=127.0.0.1: ")
