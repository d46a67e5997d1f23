"""A chunked body reaches the application as one of known length (RFC 9112, 7.1.3)."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import wire
from tests.worker_classes import WORKER_CLASSES

APP = """\
def app(environ, start_response):
    coding, length = (environ.get(x) for x in ("HTTP_TRANSFER_ENCODING", "CONTENT_LENGTH"))
    body = f"{coding} {length} {len(environ['wsgi.input'].read())}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

CHUNKED = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked"


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_the_length_takes_the_place_of_the_coding(serve: Serve, worker_class: str) -> None:
    server = serve(APP, *WORKER_CLASSES[worker_class])
    with wire(server) as client:
        assert client.ask(CHUNKED, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").body == b"None 5 5"
        large = b"%x\r\n" % 2_000_000 + bytes(2_000_000) + b"\r\n0\r\n\r\n"
        assert client.ask(CHUNKED, large).body == b"None 2000000 2000000"


def test_a_body_that_is_streamed_has_no_length(serve: Serve) -> None:
    """It is not known yet; the coding tells the application that there is a body."""
    server = serve(APP, "--request-buffer-size", "64K", "--request-spool-size", "0")
    with wire(server) as client:
        body = bytes(200_000)
        data = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        assert client.ask(CHUNKED, data).body == b"chunked None 200000"
