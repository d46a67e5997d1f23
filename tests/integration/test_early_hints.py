"""`wsgi.early_hints` (RFC 8297): before the response, and nowhere in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.wire import render, wire
from tests.servers import Server
from tests.worker_classes import WORKER_CLASSES

APP = '''\
class Late:
    """Gives hints when it is closed."""

    def __init__(self, hints, blocks):
        self.hints = hints
        self.blocks = blocks

    def __iter__(self):
        return iter(self.blocks)

    def close(self):
        self.hints([("Link", "</close>")])

def hinting(hints, blocks):
    for block in blocks:
        yield block
        hints([("Link", "</between>")])

def app(environ, start_response):
    hints = environ["wsgi.early_hints"]
    path = environ["PATH_INFO"]
    if path == "/early":
        hints([("Link", "</a>"), (b"Link", b"</b>; title=\\xe9"), ("X-Bytes", b"value")])
        hints(iter([("Link", "</c>")]))
    if path == "/wrong":
        hints([("Link", 5)])
    fields = [("Content-Length", "10")] if environ["QUERY_STRING"] == "length" else []
    write = start_response("200 OK", fields)
    if path == "/write":
        write(b"hello")
        hints([("Link", "</written>")])
        return [b"world"]
    if path == "/generator":
        return hinting(hints, [b"hello", b"world"])
    if path == "/last":
        return hinting(hints, [b"helloworld"])
    if path == "/close":
        return Late(hints, [b"hello", b"world"])
    if path == "/close-of-one":
        return Late(hints, [b"helloworld"])
    if path == "/started":
        # Nothing has left yet, so these are early still.
        hints([("Link", "</started>")])
    return [b"helloworld"]
'''


@pytest.fixture(scope="module", params=WORKER_CLASSES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hints")
    options = WORKER_CLASSES[request.param]
    with Server("app:app", *options, cwd=folder, files={"app.py": APP}) as server:
        yield server


@pytest.mark.parametrize("query", ["", "?length"])
@pytest.mark.parametrize("path", ["/write", "/generator", "/last", "/close", "/close-of-one"])
def test_hints_that_come_after_the_response_began_are_ignored(
    server: Server, path: str, query: str
) -> None:
    with wire(server) as client:
        # Two that have come together, as hints might also end up between them.
        client.send(render(f"GET {path}{query} HTTP/1.1\nHost: a") * 2)
        for _ in range(2):
            answer = client.answer()
            assert (answer.status, answer.body) == (200, b"helloworld")
        assert client.get("/plain").body == b"helloworld", "the connection is in step"


def test_hints_may_be_bytes(server: Server) -> None:
    with wire(server) as client:
        for _ in range(2):
            client.send(render("GET /early HTTP/1.1\nHost: a"))
            first = client.head()
            assert first.status == 103
            assert [value for name, value in first.fields if name == "Link"] == [
                "</a>", "</b>; title=\xe9",
            ]  # fmt: skip
            assert first.get("X-Bytes") == "value"
            second = client.head()
            assert (second.status, second.get("Link")) == (103, "</c>")
            assert client.answer().body == b"helloworld"


def test_hints_before_the_first_byte_are_sent(server: Server) -> None:
    with wire(server) as client:
        client.send(render("GET /started HTTP/1.1\nHost: a"))
        assert client.head().get("Link") == "</started>"
        assert client.answer().body == b"helloworld"


def test_hints_that_are_neither_text_nor_bytes_are_an_error(server: Server) -> None:
    with wire(server) as client:
        assert client.get("/wrong").status == 500
        assert client.get("/plain").body == b"helloworld"


def test_a_client_of_an_old_version_gets_no_hints(server: Server) -> None:
    with wire(server) as client:
        assert client.ask("GET /early HTTP/1.0\nHost: a").body == b"helloworld"
