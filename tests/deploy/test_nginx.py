"""The site for nginx, in a real nginx before a real gunicorn, over TCP and a unix socket."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.places import DEMO, DEPLOY
from tests.nginx import nginx
from tests.servers import Server

DEMO_FILES = {path.name: path.read_text() for path in DEMO.glob("*.py")}


def shipped_site(port: int, upstream: str, static: Path) -> str:
    """deploy/nginx.conf, with only its addresses and its folder changed."""
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in [
        ("listen 80 default_server;", f"listen 127.0.0.1:{port} default_server;"),
        ("listen [::]:80 default_server;", ""),
        ("server unix:/run/gunicorn.sock ", f"server {upstream} "),
        ("alias /srv/app/static/;", f"alias {static}/;"),
    ]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def request(
    port: int, method: str, path: str, body: bytes | None = None
) -> tuple[int, http.client.HTTPMessage, str]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as client:
        client.request(method, path, body)
        response = client.getresponse()
        return response.status, response.headers, response.read().decode()


@pytest.fixture(scope="module", params=["tcp", "unix"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an nginx before the demo."""
    folder = tmp_path_factory.mktemp("site")
    static = folder / "static"
    static.mkdir()
    (static / "style.css").write_text("body {}")
    bind = f"unix:{folder}/gunicorn.sock" if request.param == "unix" else None
    with Server("demo:app", cwd=folder / "app", bind=bind, files=DEMO_FILES) as server:
        upstream = bind or f"127.0.0.1:{server.port}"
        with nginx(folder / "nginx", lambda port: shipped_site(port, upstream, static)) as port:
            yield port


def test_the_page_comes_through(port: int) -> None:
    status, headers, text = request(port, "GET", "/")
    assert status == 200
    assert headers["Server"].startswith("nginx")
    assert "Served by" in text
    assert f"127.0.0.1:{port}</td>" in text, "the Host field of the client"
    assert "<code>HTTP_X_FORWARDED_FOR</code></td><td>127.0.0.1</td>" in text


def test_many_requests_over_kept_connections(port: int) -> None:
    statuses = {request(port, "GET", "/health")[0] for _ in range(50)}
    assert statuses == {200}


def test_a_response_of_unknown_length(port: int) -> None:
    status, _, text = request(port, "GET", "/stream")
    assert status == 200
    assert len(text.splitlines()) == 10


def test_an_upload(port: int) -> None:
    body = os.urandom(1_000_000)
    status, _, text = request(port, "POST", "/upload", body)
    assert status == 200
    assert text == f"1000000 bytes, sha256 {hashlib.sha256(body).hexdigest()}\n"


def test_an_error_of_the_application(port: int) -> None:
    status, _, text = request(port, "GET", "/error")
    assert status == 500
    assert "on purpose" not in text


def test_static_files_are_served_by_nginx(port: int) -> None:
    status, _, text = request(port, "GET", "/static/style.css")
    assert (status, text) == (200, "body {}")
