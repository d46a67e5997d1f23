"""Nothing is imported too late: not by a worker that has dropped its privileges, nor after an
upgrade of the package in place.
"""

from __future__ import annotations

import ast
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import gunicorn
from gunicorn.workers import provisions
from tests.certificates import Certificate, write_pair
from tests.servers import Server, read_all
from tests.worker_classes import WORKER_CLASSES

PACKAGE = Path(gunicorn.__file__).parent

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

APP = """\
import gunicorn

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raise":
        raise RuntimeError("on purpose")
    received = len(environ["wsgi.input"].read())
    if path == "/wrong":
        start_response("200 OK", [("Bad Name", "x")])
    body = b"x" * 3_000_000 if path == "/large" else f"{received} {gunicorn.__file__}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

NOTING = """\
import os
import sys

def note(event, args):
    if event == "import" and os.geteuid() != 0:
        fd = os.open("late", os.O_WRONLY | os.O_APPEND)
        os.write(fd, f"{args[0]}\\n".encode())
        os.close(fd)

sys.addaudithook(note)
"""

PURE: dict[str, dict[str, str]] = {"compiled": {}, "python": {"GUNICORN_PURE_PYTHON": "1"}}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, unlike tmp_path, whose parents are closed."""
    folder = Path(tempfile.mkdtemp(prefix="gunicorn-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def ask_for_all(server: Server) -> None:
    """Make requests of every kind, broken ones among them."""
    assert server.get("/").status == 200
    assert server.get("/", {"Authorization": "Basic YTpi", "Referer": '"\\'}).status == 200
    assert server.get("/raise").status == 500
    assert server.get("/wrong").status == 500
    assert len(server.get("/large").body) == 3_000_000
    assert server.request("HEAD", "/large").status == 200
    assert server.request("POST", "/", b"x" * 3_000_000).text.startswith("3000000 ")
    chunk = b"186a0\r\n" + b"x" * 100_000 + b"\r\n"
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b"3000000 " in server.raw(head + 30 * chunk + b"0\r\n\r\n")
    for wrong in (
        b"GET  /\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\x16\x03\x01",
    ):
        assert b" 400 " in server.raw(wrong + b"\r\n\r\n")
    with server.connect() as gone:
        gone.sendall(head)
        gone.sendall(b"zz\r\n")
        assert b" 400 " in read_all(gone)


def copy_of_package(folder: Path) -> Path:
    target = folder / "gunicorn"
    shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


@root_only
@pytest.mark.parametrize("twin", PURE)
@pytest.mark.parametrize("name", WORKER_CLASSES)
def test_a_worker_that_dropped_its_privileges_imports_nothing_of_ours(
    place: Path, name: str, twin: str
) -> None:
    late = place / "late"
    late.touch()
    late.chmod(0o666)
    files = {"app.py": APP, "conf.py": NOTING}
    options = ("--user", "nobody", "--config", "conf.py", "--access-logfile", "-")
    options = (*options, *WORKER_CLASSES[name])
    with Server("app:app", *options, cwd=place, files=files, env=PURE[twin]) as server:
        ask_for_all(server)
        server.send_signal(signal.SIGUSR1)
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload done")
        ask_for_all(server)
    assert set(late.read_text().split()) <= {"app"}


@root_only
@pytest.mark.parametrize("name", ["sync", "gthread", "gevent", "eventlet", "tornado"])
def test_it_imports_nothing_for_tls_either(place: Path, name: str, tmp_path: Path) -> None:
    certificate = Certificate(*write_pair(tmp_path, "server"))
    late = place / "late"
    late.touch()
    late.chmod(0o666)
    files = {"app.py": APP, "conf.py": NOTING}
    options = ("--user", "nobody", "--config", "conf.py", *certificate.args, *WORKER_CLASSES[name])
    with Server("app:app", *options, cwd=place, files=files, tls=certificate.client()) as server:
        ask_for_all(server)
        server.tls = None
        server.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server.tls = certificate.client()
        assert server.get("/").status == 200
    assert set(late.read_text().split()) <= {"app"}


@root_only
@pytest.mark.parametrize("twin", PURE)
@pytest.mark.parametrize("name", WORKER_CLASSES)
def test_an_installation_that_the_user_may_not_read(place: Path, name: str, twin: str) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    copy_of_package(closed)
    env = {"PYTHONPATH": str(closed), **PURE[twin]}
    options = ("--user", "nobody", "--access-logfile", "-", *WORKER_CLASSES[name])
    with Server("app:app", *options, cwd=place, files={"app.py": APP}, env=env) as server:
        assert str(closed) in server.get("/").text
        ask_for_all(server)
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload done")
        ask_for_all(server)
    assert "ImportError" not in server.log() and "ModuleNotFoundError" not in server.log()


@root_only
def test_the_log_that_is_not_the_plain_one_needs_no_import_either(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    copy_of_package(closed)
    custom = (
        "from gunicorn.glogging import Logger\n"
        "class Own(Logger):\n"
        "    def atoms(self, *args):\n"
        "        return super().atoms(*args)\n"
    )
    files = {"app.py": APP, "custom.py": custom}
    options = ("--user", "nobody", "--access-logfile", "-", "--logger-class", "custom.Own")
    env = {"PYTHONPATH": f"{closed}:{place}"}
    with Server("app:app", *options, cwd=place, files=files, env=env) as server:
        ask_for_all(server)
    assert '"GET / HTTP/1.1" 200' in server.log()


@root_only
@pytest.mark.parametrize("app", ["missing:app", "app:missing", "app:app.x", "raising:app"])
def test_what_cannot_be_loaded_is_told_with_privileges_dropped(place: Path, app: str) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    copy_of_package(closed)
    files = {"app.py": APP, "raising.py": "raise RuntimeError('on purpose')\n"}
    env = {"PYTHONPATH": str(closed)}
    with Server(app, "--user", "nobody", cwd=place, files=files, env=env, wait=False) as server:
        assert server.wait() == (3 if app == "raising:app" else 4)
    said = server.log()
    assert ("RuntimeError: on purpose" if app == "raising:app" else "The application") in said
    assert "No module named 'gunicorn" not in said and "cannot import name" not in said


@pytest.mark.parametrize("twin", PURE)
@pytest.mark.parametrize("name", WORKER_CLASSES)
def test_an_upgrade_of_the_package_in_place(tmp_path: Path, name: str, twin: str) -> None:
    installed = tmp_path / "installed"
    package = copy_of_package(installed)
    env = {"PYTHONPATH": str(installed), **PURE[twin]}
    options = ("--access-logfile", "-", *WORKER_CLASSES[name])
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}, env=env) as server:
        count = 2 if name == "sync-siblings" else 1
        before = server.wait_workers(count)
        for path in package.rglob("*"):
            if path.suffix == ".py":
                path.write_text("raise ImportError('of another version')\n")
            elif path.suffix in {".so", ".pyc"}:
                path.unlink()
        assert str(installed) in server.get("/").text
        ask_for_all(server)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        server.until(
            lambda: len(server.workers()) == count and not set(before) & set(server.workers()),
            "workers forked after the upgrade",
        )
        ask_for_all(server)
        server.send_signal(signal.SIGUSR1)
    assert "of another version" not in server.log()


ARBITER = {
    "gunicorn.arbiter.daemon",
    "gunicorn.app.pastefile",
    "gunicorn.logs.syslog",
    "gunicorn.reloader",
}
"""What is imported late by the arbiter alone, or by a worker before it drops its privileges."""

OF_A_CLASS = {"gunicorn.workers.gevent_handlers"}
"""What the setup of a worker class imports."""


def late_imports() -> Iterator[tuple[str, str]]:
    """Modules of the package that are imported inside of functions, and where."""
    for path in PACKAGE.rglob("*.py"):
        for outer in ast.walk(ast.parse(path.read_text())):
            if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(outer):
                    if isinstance(node, ast.ImportFrom):
                        yield from ((path.name, name) for name in modules_of(node))


def modules_of(node: ast.ImportFrom) -> Iterator[str]:
    module = node.module or ""
    for alias in node.names if module.split(".")[0] == "gunicorn" else ():
        file = PACKAGE.parent.joinpath(*module.split("."), alias.name)
        is_module = file.is_dir() or any(file.parent.glob(f"{alias.name}.py*"))
        yield f"{module}.{alias.name}" if is_module else module


def test_every_late_import_is_provided_for() -> None:
    provided = {*provisions.OWN, *provisions.COMPILED, *provisions.TLS, *ARBITER, *OF_A_CLASS}
    found = list(late_imports())
    assert len(found) > 5
    assert [(where, name) for where, name in found if name not in provided] == []
