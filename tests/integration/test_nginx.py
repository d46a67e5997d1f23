"""nginx in front, keeping its connections to the server, over TCP and over a unix socket."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.wire import Wire, chunked, wire
from tests.nginx import nginx
from tests.servers import Server

SIZE = 20 * 1024 * 1024

APP = """\
import hashlib

SIZE = 20 * 1024 * 1024
BLOCK = bytes(range(256)) * 256
connections = set()

def app(environ, start_response):
    path = environ["PATH_INFO"]
    connections.add(environ["gunicorn.socket"].fileno())
    if path == "/upload":
        digest = hashlib.sha256()
        for block in iter(lambda: environ["wsgi.input"].read(65536), b""):
            digest.update(block)
        start_response("200 OK", [])
        return [digest.hexdigest().encode()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/generator":
        return (BLOCK for _ in range(SIZE // len(BLOCK)))
    if path == "/bytes":
        return [BLOCK * (SIZE // len(BLOCK))]
    if path == "/fails":
        def pieces():
            yield b"x" * 100
            raise RuntimeError("too late")
        return pieces()
    names = ("wsgi.url_scheme", "HTTP_X_FORWARDED_FOR", "HTTP_HOST", "PATH_INFO", "QUERY_STRING")
    values = [environ.get(name, "") for name in names]
    return [" ".join([*values, str(len(connections))]).encode()]
"""

SITE = """\
client_max_body_size 100m;
upstream app {{
    server {upstream};
    keepalive 4;
}}
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://app;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        proxy_request_buffering off;
        proxy_next_upstream off;
    }}
}}
"""


@pytest.fixture(scope="module", params=["tcp", "unix"])
def front(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that is reached through an nginx."""
    folder = tmp_path_factory.mktemp("nginx")
    bind = f"unix:{folder}/s" if request.param == "unix" else None
    options = ("--keep-alive", "60")
    with Server("app:app", *options, cwd=folder, bind=bind, files={"app.py": APP}) as server:
        upstream = bind or f"127.0.0.1:{server.port}"
        address = server.address
        prefix = folder / "prefix"
        with nginx(prefix, lambda port: SITE.format(port=port, upstream=upstream)) as port:
            server.address = ("127.0.0.1", port)
            yield server
            server.address = address
        assert "prematurely closed" not in errors(folder)


def errors(folder: Path) -> str:
    """What nginx complains of, but for the request that fails on purpose."""
    lines = (folder / "prefix" / "error.log").read_text().splitlines()
    return "\n".join(line for line in lines if "/fails" not in line)


def through(front: Server) -> Wire:
    return wire(front)


def test_many_requests_over_few_connections(front: Server) -> None:
    with through(front) as client:
        for number in range(200):
            answer = client.get(f"/a%20b?{number}")
            words = answer.body.decode().split()
            assert words[:5] == ["https", "127.0.0.1", "a", "/a", "b"]
            assert int(words[-1]) <= 4, "nginx keeps the connections"


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_an_upload(front: Server, coding: str) -> None:
    body = os.urandom(SIZE)
    with through(front) as client:
        post = "POST /upload HTTP/1.1\nHost: a\n"
        if coding == "length":
            answer = client.ask(f"{post}Content-Length: {SIZE}", body)
        else:
            pieces = chunked([body[: SIZE // 2], body[SIZE // 2 :]])
            answer = client.ask(f"{post}Transfer-Encoding: chunked", pieces)
        assert answer.body == hashlib.sha256(body).hexdigest().encode()


@pytest.mark.parametrize("path", ["/generator", "/bytes"])
def test_a_download(front: Server, path: str) -> None:
    with through(front) as client:
        assert client.get(path).body == bytes(range(256)) * (SIZE // 256)


def test_a_response_that_fails_reaches_nobody_as_whole(front: Server) -> None:
    answer = front.raw(b"GET /fails HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert not answer.endswith(b"0\r\n\r\n")
    with through(front) as client:
        assert client.get("/").status == 200
