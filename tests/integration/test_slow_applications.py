"""Applications that take their time, and what happens to their connections meanwhile."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import render, wire
from tests.servers import read_all

SLOW = """\
import time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/hints":
        environ["wsgi.early_hints"]([("Link", "x" * 8_000_000)])
        time.sleep(0.5)
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1.7)
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""


@pytest.mark.parametrize("parser", ["auto", "python"])
def test_a_request_longer_than_keepalive_keeps_its_connection(serve: Serve, parser: str) -> None:
    server = serve(SLOW, "--http-parser", parser, "--keep-alive", "1")
    with wire(server) as client:
        assert client.get("/").body == b"hello"
        answer = client.get("/slow")
        assert not answer.closes
        assert client.get("/").body == b"hello"


@pytest.mark.parametrize("parser", ["auto", "python"])
def test_a_response_waits_for_hints_that_are_queued(serve: Serve, parser: str) -> None:
    """The client reads them while the application is busy, so there is room again too early."""
    server = serve(SLOW, "--http-parser", parser)
    with wire(server) as client:
        client.send(render("GET /hints HTTP/1.1\nHost: a\nConnection: close"))
        hints, _, response = read_all(client.sock).partition(b"\r\n\r\n")
    assert hints == b"HTTP/1.1 103 Early Hints\r\n" + hints[hints.index(b"Server") :]
    assert hints.endswith(b"Link: " + b"x" * 8_000_000)
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert response.endswith(b"\r\n\r\nhello")
