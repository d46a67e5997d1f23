"""Preloading, reloading on a change of the source, and who the workers are."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from tests.integration.conftest import Serve
from tests.servers import HELLO, Server

WHO_LOADED = """\
import os
loaded_by = os.getpid()

def app(environ, start_response):
    start_response("200 OK", [])
    return [f"{loaded_by} {os.getpid()}".encode()]
"""


@pytest.mark.parametrize("preload", [True, False])
def test_preload(serve: Serve, preload: bool) -> None:
    server = serve(WHO_LOADED, "-w", "2", *(["--preload"] if preload else []))
    children = server.wait_workers(3 if preload else 2)
    loaders = set()
    for _ in range(10):
        loaded_by, worker = (int(word) for word in server.get("/").text.split())
        assert {loaded_by, worker} <= set(children)
        assert (loaded_by != worker) == preload
        loaders.add(loaded_by)
    assert len(loaders) == 1 or not preload, "one template process has loaded it"


VERSION = (
    "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'%s']\n"
)


@pytest.mark.parametrize("engine", ["auto", "poll"])
def test_reload(serve: Serve, tmp_path: Path, engine: str) -> None:
    server = serve(VERSION % "one", "--reload", "--reload-engine", engine)
    assert server.get("/").text == "one"
    edit(server, tmp_path / "app.py", VERSION % "two and more", "two and more")
    server.wait_for(r"Worker reloading: .*app\.py modified")


def test_reload_with_a_syntax_error_that_is_mended(serve: Serve, tmp_path: Path) -> None:
    server = serve(VERSION % "one", "--reload")
    assert server.get("/").text == "one"
    (tmp_path / "app.py").write_text("def app(:\n")
    server.wait_for("SyntaxError")
    server.until(lambda: "SyntaxError" in answered(server), "the error as an answer")
    reply = server.get("/")
    assert reply.status == 500
    assert "app.py" in reply.text
    assert "gunicorn/" not in reply.text, "nothing of ours in the traceback"
    edit(server, tmp_path / "app.py", VERSION % "mended", "mended")


def edit(server: Server, path: Path, text: str, expected: str) -> None:
    path.write_text(text)
    server.until(lambda: answered(server) == expected, f"the answer {expected!r}")


def answered(server: Server) -> str:
    """The text of an answer; empty while a worker makes way for the next."""
    try:
        return server.get("/").text
    except (OSError, EOFError):
        return ""


IDENTITY = """\
import os

def app(environ, start_response):
    start_response("200 OK", [])
    return [f"{os.getuid()} {os.geteuid()} {os.getgid()} {os.getegid()} {os.getgroups()}".encode()]
"""


def test_user_and_group(serve: Serve, tmp_path: Path) -> None:
    user, group = pwd.getpwnam("nobody"), grp.getgrnam("daemon")
    options = ("--user", "nobody", "--group", "daemon")
    if os.geteuid() != 0:
        server = serve(IDENTITY, *options, wait=False)
        assert server.wait() != 0
        server.wait_for(f"may not become user {user.pw_uid} and group {group.gr_gid}")
        return
    folder = tmp_path
    while folder.stat().st_mode & 0o005 != 0o005:  # pytest's folders are for its own user alone
        folder.chmod(0o755)
        folder = folder.parent
    server = serve(IDENTITY, *options)
    ids = server.get("/").text.split(" ", 4)
    assert ids[:4] == [str(user.pw_uid)] * 2 + [str(group.gr_gid)] * 2
    assert "0" not in ids[4].strip("[]").split(", ")


@pytest.mark.parametrize("options", ["--threads 4", "-k gthread", "-k gthread --threads 4"])
def test_threads(serve: Serve, options: str) -> None:
    server = serve(HELLO, *options.split())
    assert server.get().text == "hello"
    assert "Using worker: gthread" in server.log()
