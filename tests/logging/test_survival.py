"""Logs of the server go on, whatever the application does to the logging of its process.

Each application here disturbs logging in every way while it is loaded, and again in requests.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.test_django import FILES as DJANGO
from tests.servers import Server, until
from tests.worker_classes import WORKER_CLASSES

DISTURBING = """\
import logging
import logging.config

INI = '''
[loggers]
keys = root
[handlers]
keys =
[formatters]
keys =
[logger_root]
handlers =
'''

def by_file():
    import io
    logging.config.fileConfig(io.StringIO(INI))

def by_dictionary():
    logging.config.dictConfig({"version": 1})

def by_levels():
    levels = {name: {"level": "INFO"} for name in ("gunicorn.error", "gunicorn.access")}
    logging.config.dictConfig({"version": 1, "loggers": levels})

def by_the_parent():
    logging.config.dictConfig({"version": 1, "loggers": {"gunicorn": {"level": "INFO"}}})

def by_shutdown():
    logging.shutdown()

def by_closing():
    for name in ("gunicorn.error", "gunicorn.access"):
        for handler in logging.getLogger(name).handlers:
            handler.close()

WAYS = (by_dictionary, by_file, by_shutdown, by_closing, by_levels, by_the_parent)

def disturb(path):
    for way in WAYS:
        if path.endswith(way.__name__):
            way()
    logging.getLogger("gunicorn.error").info("heard of %s", path)
    return b"hello"

for way in WAYS:
    way()
"""

WSGI = f"""{DISTURBING}
def app(environ, start_response):
    body = disturb(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

ASGI = f"""{DISTURBING}
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    body = disturb(scope["path"])
    fields = [(b"content-length", str(len(body)).encode())]
    await send({{"type": "http.response.start", "status": 200, "headers": fields}})
    await send({{"type": "http.response.body", "body": body}})
"""

WAYS = ("by_dictionary", "by_file", "by_shutdown", "by_closing", "by_levels", "by_the_parent")

UVICORN = "uvicorn_worker.UvicornWorker"
EVERY_CLASS = {**WORKER_CLASSES, "uvicorn": ("--worker-class", UVICORN)}
PRELOAD: dict[str, tuple[str, ...]] = {"loaded-by-workers": (), "preloaded": ("--preload",)}


def application(name: str) -> dict[str, str]:
    return {"app.py": ASGI if name == "uvicorn" else WSGI}


def told(place: Callable[[], str], text: str) -> None:
    until(lambda: text in place(), f"{text!r} in the log")


@pytest.mark.parametrize("preload", PRELOAD)
@pytest.mark.parametrize("name", EVERY_CLASS)
def test_log_files_survive_every_configuration(name: str, preload: str, tmp_path: Path) -> None:
    flags = ("--error-logfile", "e.log", "--access-logfile", "a.log")
    options = (*flags, *EVERY_CLASS[name], *PRELOAD[preload])
    errors, requests = tmp_path / "e.log", tmp_path / "a.log"
    with Server("app:app", *options, cwd=tmp_path, files=application(name)) as server:
        for round_of_files in range(2):
            for way in ("first", *WAYS):
                for path in (f"/{round_of_files}/{way}", f"/{round_of_files}/after/{way}"):
                    assert server.get(path).status == 200
                    told(requests.read_text, f"GET {path} ")
                    told(errors.read_text, f"heard of {path}\n")
            if round_of_files == 0:
                for log in (errors, requests):
                    log.rename(f"{log}.1")
                server.send_signal(signal.SIGUSR1)
                server.until(lambda: errors.exists() and requests.exists(), "new files")
                server.until(lambda: written_by_all(server, errors, requests), "them in workers")
        workers = server.workers()
    # With uvicorn a worker that has shut down ends by the signal that it got, without a word.
    for pid in workers if preload == "loaded-by-workers" and name != "uvicorn" else ():
        assert f"Worker exiting (pid: {pid})" in errors.read_text()
    assert "Shutting down: Master" in errors.read_text()
    said = (tmp_path / "e.log.1").read_text() + errors.read_text() + server.log()
    assert "[ERROR]" not in said and "Traceback" not in said


def written_by_all(server: Server, *logs: Path) -> bool:
    """Whether every worker has opened `logs`."""
    wanted = {os.stat(log).st_ino for log in logs}
    return all(wanted <= set(inodes(pid)) for pid in server.workers())


def inodes(pid: int) -> Iterator[int]:
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            yield os.stat(entry.path).st_ino


@pytest.mark.parametrize("preload", PRELOAD)
@pytest.mark.parametrize("name", EVERY_CLASS)
def test_syslog_survives_every_configuration(name: str, preload: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog:
        syslog.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        syslog.bind(("127.0.0.1", 0))
        syslog.setblocking(False)
        heard: list[str] = []

        def text() -> str:
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard.append(syslog.recv(65536).decode())
            return "\n".join(heard)

        address = f"udp://127.0.0.1:{syslog.getsockname()[1]}"
        flags = ("--log-syslog", "--log-syslog-to", address)
        options = (*flags, *EVERY_CLASS[name], *PRELOAD[preload])
        with Server("app:app", *options, cwd=tmp_path, files=application(name)) as server:
            for way in ("first", *WAYS):
                for path in (f"/{way}", f"/after/{way}"):
                    assert server.get(path).status == 200
                    told(text, f"GET {path} ")
                    told(text, f"heard of {path}\0")
        told(text, "Shutting down: Master")


@pytest.mark.parametrize("preload", PRELOAD)
@pytest.mark.parametrize("name", WORKER_CLASSES)
def test_django_with_log_files(name: str, preload: str, tmp_path: Path) -> None:
    flags = ("--error-logfile", "e.log", "--access-logfile", "a.log")
    options = (*flags, *WORKER_CLASSES[name], *PRELOAD[preload])
    with Server("project.wsgi", *options, cwd=tmp_path, files=DJANGO) as server:
        status = server.get("/seen").status
        told((tmp_path / "a.log").read_text, f'"GET /seen HTTP/1.1" {status} ')
    errors = (tmp_path / "e.log").read_text()
    assert "Booting worker" in errors and "Shutting down: Master" in errors
    assert "[ERROR]" not in errors


SILENCING = """\
import logging

def app(environ, start_response):
    if environ["PATH_INFO"] == "/disable":
        logging.getLogger("gunicorn.error").disabled = True
    logging.getLogger("gunicorn.error").info("heard of %(PATH_INFO)s", environ)
    start_response("200 OK", [("Content-Length", "0")])
    return []

logging.getLogger("gunicorn.access").disabled = True
"""


def test_who_disables_a_logger_on_purpose_is_obeyed(tmp_path: Path) -> None:
    flags = ("--error-logfile", "e.log", "--access-logfile", "a.log")
    with Server("app:app", *flags, cwd=tmp_path, files={"app.py": SILENCING}) as server:
        for path in ("/before", "/disable", "/after"):
            assert server.get(path).status == 200
        told((tmp_path / "e.log").read_text, "heard of /before")
    assert (tmp_path / "a.log").read_text() == ""
    assert "heard of /after" not in (tmp_path / "e.log").read_text()


ELSEWHERE = """\
import logging.config

logging.config.dictConfig({
    "version": 1,
    "handlers": {"file": {"class": "logging.FileHandler", "filename": "theirs.log"}},
    "loggers": {"gunicorn.access": {"handlers": ["file"]}},
    "root": {"handlers": ["file"]},
})

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


def test_handlers_that_the_application_names_are_used(tmp_path: Path) -> None:
    flags = ("--error-logfile", "e.log", "--access-logfile", "a.log")
    with Server("app:app", *flags, cwd=tmp_path, files={"app.py": ELSEWHERE}) as server:
        assert server.get("/seen").status == 200
        told((tmp_path / "theirs.log").read_text, "GET /seen ")
    assert (tmp_path / "a.log").read_text() == ""
    assert "Worker exiting" in (tmp_path / "e.log").read_text()
    assert "Worker exiting" not in (tmp_path / "theirs.log").read_text()


RAISING = """\
import logging

class Broken(logging.Handler):
    def emit(self, record):
        raise ConnectionError("the collector of logs is gone")

for name in ("gunicorn.error", "gunicorn.access"):
    logging.getLogger(name).addHandler(Broken())

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


@pytest.mark.parametrize("name", WORKER_CLASSES)
def test_a_handler_that_raises_costs_its_line_and_no_worker(name: str, tmp_path: Path) -> None:
    flags = ("--access-logfile", "a.log", *WORKER_CLASSES[name])
    with Server("app:app", *flags, cwd=tmp_path, files={"app.py": RAISING}) as server:
        before = server.wait_workers(2 if name == "sync-siblings" else 1)
        for number in range(5):
            assert server.get(f"/{number}").status == 200
        assert server.workers() == before
        server.wait_for("ConnectionError: the collector of logs is gone")
    text = (tmp_path / "a.log").read_text()
    assert all(f"GET /{number} " in text for number in range(5))


CLOSING = """\
import logging.config
import os
import signal

def app(environ, start_response):
    (handler,) = logging.getLogger("gunicorn.error").handlers
    number = handler.stream.fileno()
    logging.config.dictConfig({"version": 1})
    os.dup2(os.open("victim", os.O_WRONLY | os.O_CREAT), number)
    os.kill(os.getpid(), signal.SIGURG)
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""

LOGCONFIG = """\
logconfig_dict = {
    "handlers": {"file": {"class": "logging.FileHandler", "filename": "theirs.log"}},
    "loggers": {"gunicorn.error": {"handlers": ["file"]}},
}
"""


def test_the_stacks_of_a_hanging_worker_go_to_no_descriptor_that_was_closed(tmp_path: Path) -> None:
    files = {"app.py": CLOSING, "gunicorn.conf.py": LOGCONFIG}
    with Server("app:app", cwd=tmp_path, files=files) as server:
        assert server.get("/").status == 200
        told((tmp_path / "theirs.log").read_text, "(most recent call first)")
    assert (tmp_path / "victim").read_bytes() == b""
