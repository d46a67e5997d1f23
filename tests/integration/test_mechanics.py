"""Preloading, reloading on a change of the source, and who and where the workers are."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gunicorn import compiled
from tests import readable
from tests.integration.conftest import Serve
from tests.processes import kill_family
from tests.programs import is_root
from tests.servers import HELLO, Server, alive, free_port, processes, until

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
    assert is_root()
    folder = tmp_path
    while folder.stat().st_mode & 0o005 != 0o005:  # pytest's folders are for its own user alone
        folder.chmod(0o755)
        folder = folder.parent
    server = serve(IDENTITY, "--user", "nobody", "--group", "daemon")
    ids = server.get("/").text.split(" ", 4)
    assert ids[:4] == [str(user.pw_uid)] * 2 + [str(group.gr_gid)] * 2
    assert "0" not in ids[4].strip("[]").split(", ")


AS_A_STRANGER = """\
import os, runpy, sys
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(61234, 61234, 61234)
    os.setresuid(61234, 61234, 61234)
sys.argv[0] = "gunicorn"
runpy.run_module("gunicorn", run_name="__main__")
"""


def test_only_root_serves_as_another_user() -> None:
    user, group = pwd.getpwnam("nobody"), grp.getgrnam("daemon")
    with readable.folder() as folder, Server(
        "app:app", "--user", "nobody", "--group", "daemon", cwd=folder, files={"app.py": HELLO},
        command=(sys.executable, "-c", AS_A_STRANGER), env=readable.environment(), wait=False,
    ) as server:  # fmt: skip
        assert server.wait() != 0
        server.wait_for(f"may not become user {user.pw_uid} and group {group.gr_gid}")


@pytest.mark.parametrize("options", ["--threads 4", "-k gthread", "-k gthread --threads 4"])
def test_threads(serve: Serve, options: str) -> None:
    server = serve(HELLO, *options.split())
    assert server.get().text == "hello"
    assert "Using worker: gthread" in server.log()


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("setting", ["auto", "fast", "python"])
def test_the_implementation_is_named(serve: Serve, setting: str, pure: bool) -> None:
    there = compiled.available() and not pure
    server = serve(
        HELLO, "--http-parser", setting, wait=False,
        env={"GUNICORN_PURE_PYTHON": "1"} if pure else {},
    )  # fmt: skip
    if setting == "fast" and not there:
        assert server.wait() == 1
        assert server.log() == (
            "Error: http_parser = 'fast' (flag --http-parser): the compiled parser is not part of "
            "this installation; use 'auto' or 'python'\n"
        )
        return
    server.wait_ready()
    used = "fast" if there and setting != "python" else "python"
    server.wait_for(rf"\[INFO\] Using HTTP parser: {used}$")
    assert server.get("/").text == "hello"


SURROUNDINGS = """\
import os
import beside

def app(environ, start_response):
    with open("made", "w"):
        mode = os.stat("made").st_mode & 0o777
    start_response("200 OK", [])
    return [f"{os.getcwd()} {os.environ['COLOUR']} {os.environ['SHAPE']} {mode:o} "
            f"{beside.__file__} {environ['SERVER_SOFTWARE']}".encode()]
"""


def test_the_surroundings_of_the_application(serve: Serve, tmp_path: Path) -> None:
    inside, libraries = tmp_path / "inside", tmp_path / "libraries"
    inside.mkdir()
    server = serve(
        None, "--chdir", "inside", "--pythonpath", str(libraries), "-e", "COLOUR=red",
        "--env", "SHAPE=a=b", umask=0o027,
        files={"inside/app.py": SURROUNDINGS, "libraries/beside.py": ""},
    )  # fmt: skip
    cwd, colour, shape, mode, beside, software = server.get("/").text.split()
    assert (cwd, colour, shape) == (str(inside), "red", "a=b")
    assert (mode, beside) == ("640", f"{libraries}/beside.py")
    assert software == "gunicorn/27.1.0"


@pytest.mark.parametrize(("options", "name"), [((), "app:app"), (("--name", "shop"), "shop")])
def test_the_titles_of_the_processes(serve: Serve, options: tuple[str, ...], name: str) -> None:
    server = serve(HELLO, *options)
    (worker,) = server.wait_workers(1)
    server.until(lambda: title(server.pid) == f"gunicorn: master [{name}]", "the title")
    server.until(lambda: title(worker) == f"gunicorn: worker [{name}]", "a worker's title")


def title(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()


@pytest.mark.parametrize("options", [(), ("--enable-stdio-inheritance",)])
def test_the_output_of_a_daemon(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Gone, unless it is inherited."""
    (tmp_path / "app.py").write_text(HELLO.replace("    start", "    print('called')\n    start"))
    pidfile, output, address = tmp_path / "pid", tmp_path / "output", f"127.0.0.1:{free_port()}"
    with output.open("wb") as file:
        subprocess.run(
            [sys.executable, "-m", "gunicorn", "--daemon", "--pid", "pid", "--bind", address,
             *options, "app:app"],
            cwd=tmp_path, stdout=file, stderr=file, timeout=20, check=True,
        )  # fmt: skip
    until(pidfile.exists, "a pidfile")
    pid = int(pidfile.read_text())
    try:
        until(lambda: any(process.ppid == pid for process in processes()), "a worker")
        os.kill(pid, signal.SIGTERM)
        until(lambda: not alive(pid), "the end of the daemon")
    finally:
        kill_family(pid)
    text = output.read_text()
    assert ("Listening at" in text and "Shutting down: Master" in text) == bool(options), text
