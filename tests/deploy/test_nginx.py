"""The site for nginx, in a real nginx before a real gunicorn, over TCP and a unix socket."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.places import DEMO, DEPLOY, program
from tests.servers import Server, free_port, until

DEMO_FILES = {path.name: path.read_text() for path in DEMO.glob("*.py")}

WRAPPER = """\
{user}
pid {prefix}/nginx.pid;
error_log {prefix}/error.log;
worker_processes 1;
daemon off;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    include {prefix}/site.conf;
}}
"""


def site(port: int, upstream: str, static: Path) -> str:
    """The shipped site, with only its addresses and its folder changed."""
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


@contextlib.contextmanager
def nginx(prefix: Path, upstream: str) -> Iterator[int]:
    """An nginx that proxies to `upstream`; yields its port."""
    executable = program("nginx")
    assert executable, "nginx is needed: apt-get install nginx"
    static = prefix / "static"
    static.mkdir(parents=True)
    (static / "style.css").write_text("body {}")
    port = free_port()
    (prefix / "site.conf").write_text(site(port, upstream, static))
    user = "user root;" if os.geteuid() == 0 else ""
    (prefix / "nginx.conf").write_text(WRAPPER.format(prefix=prefix, user=user))
    command = [executable, "-p", str(prefix), "-c", str(prefix / "nginx.conf")]
    tested = subprocess.run(
        [*command, "-t"], capture_output=True, text=True, timeout=30, check=False
    )
    assert tested.returncode == 0, tested.stderr
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until(lambda: answers(port), "nginx answers")
        yield port
    finally:
        process.terminate()
        process.wait(20)


def answers(port: int) -> bool:
    try:
        request(port, "GET", "/static/style.css")
    except OSError:
        return False
    return True


def request(
    port: int, method: str, path: str, body: bytes | None = None
) -> tuple[int, http.client.HTTPMessage, str]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as client:
        client.request(method, path, body)
        response = client.getresponse()
        return response.status, response.headers, response.read().decode()


@pytest.fixture(params=["tcp", "unix"])
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """The port of an nginx before the demo."""
    unix = request.param == "unix"
    bind = f"unix:{tmp_path}/gunicorn.sock" if unix else None
    with Server("demo:app", cwd=tmp_path / "app", bind=bind, files=DEMO_FILES) as server:
        upstream = bind if bind else f"127.0.0.1:{server.port}"
        with nginx(tmp_path / "nginx", upstream) as port:
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
