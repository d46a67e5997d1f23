"""Access and error logs of a running server, in every place that they can go to."""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import one, render, wire
from tests.processes import open_files
from tests.servers import HELLO, Server
from tests.worker_classes import WORKER_CLASSES

APP = """\
import os, sys

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/print":
        print("a word on stdout")
        print("a word on stderr", file=sys.stderr)
        os.write(2, b"a word from below\\n")
    environ["app.user"] = "carol"
    start_response("201 Created", [("X-Answer", "forty-two"), ("X-Many", "a"), ("X-Many", "b")])
    return [b"hello"] if path != "/nothing" else []
"""


def lines(server: Server, path: Path, count: int) -> list[str]:
    """The first `count` lines of a log file, waited for."""
    server.until(
        lambda: path.exists() and len(path.read_text().splitlines()) >= count, f"{count} lines"
    )
    return path.read_text().splitlines()


def test_the_default_format(serve: Serve, tmp_path: Path) -> None:
    server = serve(APP, "--access-logfile", "access.log")
    server.get("/a?b=c", {"Referer": "http://x/", "User-Agent": 'quote " and tab\t'})
    server.get("/nothing")
    first, second = lines(server, tmp_path / "access.log", 2)
    time = r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
    assert re.fullmatch(
        rf'127\.0\.0\.1 - - {time} "GET /a\?b=c HTTP/1\.1" 201 5 "http://x/" '
        r'"quote \\(x22|") and tab(\\t|\\x09)?"',
        first,
    ), first
    assert re.fullmatch(rf'127\.0\.0\.1 - - {time} "GET /nothing HTTP/1\.1" 201 0 "-" "-"', second)


ATOMS = (
    "h=%(h)s l=%(l)s u=%(u)s t=%(t)s r=%(r)s m=%(m)s U=%(U)s q=%(q)s H=%(H)s s=%(s)s B=%(B)s "
    "b=%(b)s f=%(f)s a=%(a)s T=%(T)s M=%(M)s D=%(D)s L=%(L)s p=%(p)s in=%({x-field}i)s "
    "none=%({x-none}i)s out=%({X-Answer}o)s many=%({x-many}o)s env=%({app.user}e)s %%"
)


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_every_atom(serve: Serve, tmp_path: Path, worker_class: str) -> None:
    options = ("--access-logfile", "access.log", "--access-logformat", ATOMS)
    server = serve(APP, *WORKER_CLASSES[worker_class], *options)
    user = base64.b64encode(b"bob:secret").decode()
    one(
        server,
        "POST /p%20q?r=s HTTP/1.1\nHost: a\nX-Field: value\nReferer: ref\nUser-Agent: agent\n"
        f"Authorization: Basic {user}\nContent-Length: 3",
        b"abc",
    )
    (line,) = lines(server, tmp_path / "access.log", 1)
    pids = "|".join(map(str, server.workers()))
    match = re.fullmatch(
        r"h=127\.0\.0\.1 l=- u=bob t=\[[^]]+\] r=POST /p%20q\?r=s HTTP/1\.1 m=POST U=/p q q=r=s "
        r"H=HTTP/1\.1 s=201 B=5 b=5 f=ref a=agent T=(\d+) M=(\d+) D=(\d+) L=(\d+\.\d{6}) "
        rf"p=<(?:{pids})> in=value none=- out=forty-two many=a, b env=carol %",
        line,
    )
    assert match, line
    seconds, milliseconds, microseconds = map(int, match.groups()[:3])
    assert milliseconds == microseconds // 1000
    assert seconds == microseconds // 1_000_000
    # This one is rounded, the others are cut off.
    assert round(float(match[4]) * 1_000_000) - microseconds in (0, 1)


def test_json(serve: Serve, tmp_path: Path) -> None:
    server = serve(APP, "--access-logfile", "access.log", "--access-logformat", "json")
    server.get('/a?b="c', {"User-Agent": "agent"})
    (line,) = lines(server, tmp_path / "access.log", 1)
    entry = json.loads(line)
    assert entry["target"] == '/a?b="c'
    assert (entry["method"], entry["status"], entry["bytes_sent"]) == ("GET", 201, 5)
    assert (entry["remote_addr"], entry["user_agent"]) == ("127.0.0.1", "agent")
    assert entry["pid"] == server.workers()[0]


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_what_is_logged_of_files_and_of_cut_responses(
    serve: Serve, tmp_path: Path, worker_class: str
) -> None:
    source = """\
def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/file":
        return environ["wsgi.file_wrapper"](open("big", "rb"))
    return cut()

def cut():
    yield b"12345"
    raise RuntimeError
"""
    (tmp_path / "big").write_bytes(bytes(3_000_000))
    options = ("--access-logfile", "access.log", "--access-logformat", "%(U)s %(s)s %(b)s")
    server = serve(source, *WORKER_CLASSES[worker_class], *options)
    assert len(server.get("/file").body) == 3_000_000
    server.raw(render("GET /cut HTTP/1.0"))
    # Two workers write each when it comes to it.
    logged = sorted(lines(server, tmp_path / "access.log", 2))
    assert logged == ["/cut 200 5", "/file 200 3000000"]


def test_capture_output(serve: Serve, tmp_path: Path) -> None:
    server = serve(APP, "--capture-output", "--error-logfile", "error.log")
    server.get("/print")
    for words in ("a word on stdout", "a word on stderr", "a word from below", "Booting worker"):
        server.until(lambda: words in (tmp_path / "error.log").read_text(), words)  # noqa: B023 - called at once
    assert server.log() == ""


def test_usr1_reopens_the_files(serve: Serve, tmp_path: Path) -> None:
    server = serve(
        APP, "-w", "2", "--access-logfile", "access.log", "--error-logfile", "error.log",
        "--access-logformat", "%(U)s",
    )  # fmt: skip
    server.wait_workers(2)
    server.get("/before")
    lines(server, tmp_path / "access.log", 1)
    for name in ("access", "error"):
        (tmp_path / f"{name}.log").rename(tmp_path / f"{name}.1")
    server.send_signal(signal.SIGUSR1)
    files = {str(tmp_path / f"{name}.log") for name in ("access", "error")}
    server.until(
        lambda: all(files <= open_files(pid) for pid in server.workers()), "reopened by all"
    )
    for _ in range(10):
        server.get("/later")
    lines(server, tmp_path / "access.log", 10)
    assert "/later" not in (tmp_path / "access.1").read_text()
    assert (
        "Handling signal: usr1"
        in (tmp_path / "error.1").read_text() + (tmp_path / "error.log").read_text()
    )


@pytest.fixture
def syslog() -> socket.socket:
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(20)
    return sock


def test_syslog(serve: Serve, syslog: socket.socket) -> None:
    with syslog:
        port = syslog.getsockname()[1]
        server = serve(
            APP, "--log-syslog", "--log-syslog-to", f"udp://127.0.0.1:{port}",
            "--log-syslog-prefix", "shop", "--log-syslog-facility", "local1",
        )  # fmt: skip
        server.get("/seen")
        records: list[str] = []
        while not any("GET /seen" in record for record in records):
            records.append(syslog.recv(65536).decode())
    assert any("Booting worker with pid" in record for record in records), records
    access = next(record for record in records if "GET /seen" in record)
    facility_local1, info = 17, 6
    assert access.startswith(f"<{facility_local1 * 8 + info}>"), access
    assert "shop" in access


def test_no_access_log_unless_asked_for(serve: Serve) -> None:
    server = serve(HELLO)
    with wire(server) as client:
        for _ in range(3):
            client.get("/unseen")
    server.stop()
    server.never_says("/unseen")
