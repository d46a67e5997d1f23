"""How long a connection lives, and what order its requests are answered in (RFC 9112, 9)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import Answer, chunked, one, render, wire
from tests.servers import Server
from tests.worker_classes import WORKER_CLASSES

APP = """\
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    path = environ["PATH_INFO"]
    if path == "/204":
        start_response("204 No Content", [])
        return [b""]
    if path == "/304":
        start_response("304 Not Modified", [("ETag", '"a"')])
        return []
    if path == "/unread":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (piece for piece in (b"un", b"", b"known"))
    if path == "/body-where-none-may-be":
        start_response("204 No Content", [("Content-Type", "text/plain")])
        return [b"GET / HTTP/1.1"]
    if path == "/closes":
        start_response("200 OK", [("Connection", "close")])
        return [b"bye"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["REQUEST_METHOD"].encode(), b" ", path.encode(), b" ", body]
"""


@pytest.fixture(scope="module", params=WORKER_CLASSES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("connections")
    options = (*WORKER_CLASSES[request.param], "--keep-alive", "60")
    with Server("app:app", *options, cwd=folder, files={"app.py": APP}) as server:
        yield server


def test_one_connection_serves_many_requests(server: Server) -> None:
    with wire(server) as client:
        for number in range(50):
            answer = client.get(f"/{number}")
            assert answer.body == f"GET /{number} ".encode()
            assert answer.get("Connection") is None
            assert answer.get("Content-Length") == str(len(answer.body))
        answer = client.ask("POST /p HTTP/1.1\nHost: a\nContent-Length: 3", b"abc")
        assert answer.body == b"POST /p abc"


def test_date_and_server(server: Server) -> None:
    answer = one(server, "GET / HTTP/1.1\nHost: a")
    assert answer.get("Server") == "gunicorn"
    assert (answer.get("Date") or "").endswith(" GMT")


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    requests = b"".join(
        render(f"POST /{number} HTTP/1.1\nHost: a\nTransfer-Encoding: chunked")
        + chunked([b"number ", str(number).encode()])
        + render(f"GET /get{number} HTTP/1.1\nHost: a")
        for number in range(200)
    )
    with wire(server) as client:
        client.send(requests)
        for number in range(200):
            assert client.answer().body == f"POST /{number} number {number}".encode()
            assert client.answer().body == f"GET /get{number} ".encode()


def test_requests_behind_one_that_closes_are_not_served(server: Server) -> None:
    with wire(server) as client:
        client.send(render("GET /1 HTTP/1.1\nHost: a\nConnection: close") * 3)
        assert client.answer().closes
        assert client.closed()


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        ("GET / HTTP/1.1\nHost: a", True),
        ("GET / HTTP/1.1\nHost: a\nConnection: close", False),
        ("GET / HTTP/1.1\nHost: a\nConnection: foo, Close", False),
        ("GET / HTTP/1.0", False),
        ("GET / HTTP/1.0\nConnection: Keep-Alive", True),
        ("GET /closes HTTP/1.1\nHost: a", False),
    ],
)
def test_who_keeps_a_connection(server: Server, head: str, kept: bool) -> None:
    with wire(server) as client:
        for _ in range(2):
            answer = client.ask(head)
            assert answer.status == 200
            assert answer.closes is not kept
            if not kept:
                assert client.closed()
                return
            if " HTTP/1.0" in head:
                assert answer.get("Connection") == "keep-alive"


def test_http_1_0_gets_no_chunks(server: Server) -> None:
    answer = one(server, "GET /unread HTTP/1.0\nConnection: keep-alive")
    assert answer.get("Transfer-Encoding") is None
    assert answer.closes, "only the end of the connection delimits it"
    assert answer.body == b"unknown"


def test_http_1_1_gets_chunks(server: Server) -> None:
    with wire(server) as client:
        for _ in range(2):
            answer = client.get("/unread")
            assert (answer.get("Transfer-Encoding"), answer.body) == ("chunked", b"unknown")


def test_responses_without_a_body(server: Server) -> None:
    with wire(server) as client:
        nothing = client.get("/204")
        assert (nothing.status, nothing.get("Content-Length")) == (204, None)
        assert nothing.get("Transfer-Encoding") is None
        unchanged = client.get("/304")
        assert (unchanged.status, unchanged.get("ETag")) == (304, '"a"')
        assert unchanged.get("Transfer-Encoding") is None
        head = client.ask("HEAD /abc HTTP/1.1\nHost: a")
        assert head.get("Content-Length") == str(len("HEAD /abc "))
        assert client.ask("HEAD /unread HTTP/1.1\nHost: a").status == 200
        assert client.get("/body-where-none-may-be").status == 204
        assert client.get("/still").body == b"GET /still ", "in step until the end"


def until_closed(server: Server) -> tuple[Answer, float]:
    with wire(server) as client:
        answer = client.get()
        before = time.monotonic()
        assert client.closed()
        return answer, time.monotonic() - before


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_keepalive_of_one_second(serve: Serve, worker_class: str) -> None:
    options = WORKER_CLASSES[worker_class]
    answer, seconds = until_closed(serve(APP, *options, "--keep-alive", "1"))
    assert not answer.closes
    assert seconds > 0.9


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_keepalive_of_zero(serve: Serve, worker_class: str) -> None:
    answer, _ = until_closed(serve(APP, *WORKER_CLASSES[worker_class], "--keep-alive", "0"))
    assert answer.closes


def test_expect_100_continue(server: Server) -> None:
    with wire(server) as client:
        for body in (b"abc", b"def"):
            client.send(render("POST / HTTP/1.1\nHost: a\nContent-Length: 3\nExpect: 100-continue"))
            interim = client.head()
            assert (interim.status, interim.fields) == (100, [])
            client.send(body)
            assert client.answer().body == b"POST / " + body
        chunks = chunked([b"x"])
        client.send(
            render("PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nExpect: 100-continue")
        )
        assert client.head().status == 100
        client.send(chunks)
        assert client.answer().body == b"PUT / x"


def test_no_100_for_a_body_that_has_come_already(server: Server) -> None:
    with wire(server) as client:
        client.send(
            render("POST / HTTP/1.1\nHost: a\nContent-Length: 3\nExpect: 100-continue") + b"abc"
        )
        assert client.answer().body == b"POST / abc"


def test_an_unknown_expectation(server: Server) -> None:
    answer = one(server, "POST / HTTP/1.1\nHost: a\nContent-Length: 3\nExpect: wonders")
    assert (answer.status, answer.closes) == (417, True)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 5000), 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n" % (b"a" * 9000), 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n\r\n", 400),
    ],
)
def test_a_malformed_request_is_refused(server: Server, request_bytes: bytes, status: int) -> None:
    with wire(server) as client:
        client.send(request_bytes + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = client.answer()
        assert (answer.status, answer.closes) == (status, True)
        assert client.closed()
    server.wait_for(r"\[WARNING\] Invalid request from ip=127.0.0.1: ")


def test_a_client_that_closes_its_sending_side_is_answered(server: Server) -> None:
    assert server.raw(b"GET /a HTTP/1.0\r\n\r\n").endswith(b"GET /a ")
    with wire(server) as client:
        client.send(render("GET /b HTTP/1.1\nHost: a"))
        client.sock.shutdown(1)
        assert client.answer().body == b"GET /b "
        assert client.closed()
