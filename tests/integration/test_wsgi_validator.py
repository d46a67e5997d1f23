"""PEP 3333 as wsgiref.validate sees it, over the live server.

The validator asserts; an assertion that fails is a 500 and an error in the log, so a test passes
when the answer is right and the log is clean.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.wire import chunked, wire
from tests.servers import Server
from tests.worker_classes import WORKER_CLASSES

APP = """\
import io
import sys
import warnings
from wsgiref.validate import validator

warnings.simplefilter("error")
PLAIN = [("Content-Type", "text/plain")]

def inner(environ, start_response):
    path = environ["PATH_INFO"]
    stream = environ["wsgi.input"]
    if path == "/read":
        body = stream.read(3)
        while piece := stream.read(10):
            body += piece
    elif path == "/read-length":
        body = stream.read(int(environ["CONTENT_LENGTH"]))
    elif path == "/readline":
        body = b"".join(iter(stream.readline, b""))
    elif path == "/readlines":
        body = b"".join(stream.readlines())
    elif path == "/iterate":
        body = b"".join(stream)
    elif path == "/errors":
        environ["wsgi.errors"].write("a line for the log\\n")
        environ["wsgi.errors"].writelines(["one\\n", "two\\n"])
        environ["wsgi.errors"].flush()
        body = b""
    elif path == "/file":
        start_response("200 OK", PLAIN)
        return environ["wsgi.file_wrapper"](io.BytesIO(b"in a file"), 4)
    elif path == "/write":
        write = start_response("200 OK", PLAIN)
        write(b"first ")
        write(b"second ")
        return [b"third"]
    elif path == "/exc_info":
        start_response("200 OK", PLAIN)
        try:
            raise ValueError("on purpose")
        except ValueError:
            start_response("500 Changed", PLAIN, sys.exc_info())
        return [b"changed"]
    elif path == "/nothing":
        start_response("204 No Content", [])
        return []
    elif path == "/environ":
        body = repr(sorted((name, value) for name, value in environ.items()
                           if isinstance(value, (str, tuple, bool)))).encode("utf-8")
    else:
        body = b"hello"
    start_response("200 OK", PLAIN + [("Content-Length", str(len(body)))])
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    return iter([body[:2], body[2:]])

app = validator(inner)
"""


@pytest.fixture(scope="module", params=WORKER_CLASSES)
def worker_class(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(worker_class: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("validator")
    options = WORKER_CLASSES[worker_class]
    with Server("app:app", *options, cwd=folder, files={"app.py": APP}) as server:
        yield server
        server.never_says("ERROR")
        server.never_says("Warning")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
def test_methods(server: Server, version: str, method: str) -> None:
    with wire(server) as client:
        answer = client.ask(f"{method} /a%20b?c=d HTTP/{version}\nHost: a\nContent-Length: 0")
        assert answer.status == 200
        assert answer.body == (b"" if method == "HEAD" else b"hello")
        assert answer.get("Content-Length") == "5"


@pytest.mark.parametrize("size", [0, 1, 1000, 3_000_000])
@pytest.mark.parametrize("path", ["/read", "/read-length", "/readline", "/readlines", "/iterate"])
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_bodies(server: Server, size: int, path: str, coding: str) -> None:
    if coding == "chunked" and path == "/read-length":
        path = "/read"
    body = (b"0123456789\n" * (size // 11 + 1))[:size]
    if path == "/read":
        body = body[:50_000]
    with wire(server) as client:
        for _ in range(2):
            if coding == "length":
                answer = client.ask(
                    f"POST {path} HTTP/1.1\nHost: a\nContent-Length: {len(body)}", body
                )
            else:
                pieces = [body[start : start + 7000] for start in range(0, len(body), 7000)]
                answer = client.ask(
                    f"POST {path} HTTP/1.1\nHost: a\nTransfer-Encoding: chunked", chunked(pieces)
                )
            assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_rest_of_the_interface(server: Server, version: str) -> None:
    def get(path: str) -> tuple[int, bytes]:
        with wire(server) as client:
            answer = client.ask(f"GET {path} HTTP/{version}\nHost: a")
            return answer.status, answer.body

    assert get("/file") == (200, b"in a file")
    assert get("/write") == (200, b"first second third")
    assert get("/exc_info") == (500, b"changed")
    assert get("/nothing") == (204, b"")
    assert get("/errors") == (200, b"")
    server.wait_for("^a line for the log\none\ntwo$")


def test_the_environ(server: Server, worker_class: str) -> None:
    with wire(server) as client:
        environ = client.get("/environ?a=b", "X-Field: v1", "X-Field: v2", "Cookie: a=1").body
        peer = client.sock.getsockname()
    for name, value in {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/environ",
        "QUERY_STRING": "a=b",
        "RAW_URI": "/environ?a=b",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(server.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": peer[0],
        "REMOTE_PORT": str(peer[1]),
        "HTTP_HOST": "a",
        "HTTP_COOKIE": "a=1",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.multithread": worker_class in ("gthread", "gevent", "eventlet"),
        "wsgi.multiprocess": worker_class == "sync-siblings",
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }.items():
        assert repr((name, value)) in environ.decode(), name
    assert b"('HTTP_X_FIELD', 'v1,v2')" in environ or b"('HTTP_X_FIELD', 'v1, v2')" in environ
    assert b"('SERVER_SOFTWARE', 'gunicorn/" in environ
