"""An application answers without reading its body; the client sends all of it before it reads."""

from __future__ import annotations

import pytest

from tests.hostile.test_totals import MIB, SINGLE
from tests.integration.conftest import Serve
from tests.integration.wire import render, wire
from tests.worker_classes import WORKER_CLASSES

APP = """\
def app(environ, start_response):
    start_response("403 Forbidden", [("Content-Length", "4")])
    return [b"away"]
"""


@pytest.mark.parametrize("worker_class", SINGLE)
def test_who_sends_on_gets_the_answer(serve: Serve, worker_class: str) -> None:
    """Closing a socket with unread bytes would destroy it (RFC 9112, 9.6)."""
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "--request-buffer-size", "64K",
        "--request-spool-size", "0",
    )  # fmt: skip
    with wire(server) as client:
        client.send(render(f"POST / HTTP/1.1\nHost: a\nContent-Length: {30 * MIB}"))
        try:
            client.send(bytes(30 * MIB))
        except OSError:
            raise AssertionError("the connection was cut in the middle of the request") from None
        answer = client.answer()
        assert (answer.status, answer.body, answer.closes) == (403, b"away", True)
        assert client.closed()
    assert server.get("/").status == 403
