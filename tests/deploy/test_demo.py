"""The bundled example, started by its own configuration file as `make demo` does it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import pytest

from tests.deploy.places import DEMO, ROOT, check_config
from tests.servers import Server

FILES = {path.name: path.read_text() for path in DEMO.glob("*.py")}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(None, cwd=tmp_path_factory.mktemp("demo"), files=FILES) as server:
        yield server


def test_its_configuration_is_complete() -> None:
    check_config([])


def test_make_demo_starts_it_in_its_folder() -> None:
    recipe = (ROOT / "Makefile").read_text()
    assert "cd examples/demo && exec $(BIN)/gunicorn\n" in recipe
    assert 'bind = "127.0.0.1:8000"' in FILES["gunicorn.conf.py"]


def test_it_says_where_it_is_and_has_two_workers(demo: Server) -> None:
    demo.wait_for("The demo is at")
    assert len(demo.wait_workers(2)) == 2


def test_the_page_shows_the_worker(demo: Server) -> None:
    reply = demo.get("/?q=%3Cscript%3E<script>")
    assert reply.status == 200
    assert "<script>" not in reply.text
    assert any(f"<strong>{pid}</strong>" in reply.text for pid in demo.wait_workers(2))


def test_slow(demo: Server) -> None:
    assert "slept for 0.1 s" in demo.get("/slow?seconds=0.1").text
    assert demo.get("/slow?seconds=x").status == 400


def test_stream(demo: Server) -> None:
    reply = demo.get("/stream")
    assert reply.getheader("Transfer-Encoding") == "chunked"
    assert reply.text.splitlines()[9].startswith("line 10 of 10")


def test_upload(demo: Server) -> None:
    body = os.urandom(200_000)
    assert demo.request("POST", "/upload", body).text == (
        f"200000 bytes, sha256 {hashlib.sha256(body).hexdigest()}\n"
    )
    assert "multipart/form-data" in demo.get("/upload").text


def test_error(demo: Server) -> None:
    reply = demo.get("/error")
    assert reply.status == 500
    assert "on purpose" not in reply.text
    demo.wait_for("RuntimeError: raised on purpose by /error")


def test_an_unknown_path(demo: Server) -> None:
    assert demo.get("/nothing").status == 404
