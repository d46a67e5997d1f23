"""The logs of a running server: where lines go, USR1, captured output, and disks that are full."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.processes import open_files
from tests.servers import HELLO, Server, until

PRINTING = """\
import sys

def app(environ, start_response):
    print("printed by the application")
    print("complained by the application", file=sys.stderr)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""

CUSTOM = """\
from gunicorn.glogging import Logger

class Colors(Logger):
    def atoms(self, resp, req, environ, request_time):
        atoms = super().atoms(resp, req, environ, request_time)
        atoms["color"] = "blue"
        return atoms
"""


def test_requests_go_to_stdout_and_the_rest_to_stderr(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(HELLO)
    command = (
        "sh",
        "-c",
        'exec "$0" -m gunicorn "$@" >out.log 2>err.log',
        sys.executable,
    )
    with Server("app:app", "--access-logfile", "-", cwd=tmp_path, command=command) as server:
        server.get("/here?x=1", headers={"User-Agent": 'sly"one'})
    requests = (tmp_path / "out.log").read_text().splitlines()
    assert len(requests) == 1
    assert '"GET /here?x=1 HTTP/1.1" 200 5 "-" "sly\\"one"' in requests[0]
    assert "Listening at" in (tmp_path / "err.log").read_text()


@pytest.mark.parametrize("flag", ["--error-logfile", "--access-logfile"])
def test_a_log_that_cannot_be_opened_stops_the_start(flag: str, tmp_path: Path) -> None:
    with Server(
        "app:app", flag, "missing/x.log", cwd=tmp_path, files={"app.py": HELLO}, wait=False
    ) as server:
        assert server.wait() == 1
        assert "cannot open the log file" in server.log()
        server.never_says("Traceback")


def test_a_bad_access_format_stops_the_start(tmp_path: Path) -> None:
    with Server(
        "app:app", "--access-logformat", "%(h", cwd=tmp_path, files={"app.py": HELLO}, wait=False
    ) as server:
        assert server.wait() == 1
        assert "access_log_format: no directive can be read at '%(h'" in server.log()
        server.never_says("Traceback")


def test_usr1_reopens_the_logs_of_every_process(tmp_path: Path) -> None:
    flags = ("--error-logfile", "e.log", "--access-logfile", "a.log", "--workers", "2")
    with Server("app:app", *flags, cwd=tmp_path, files={"app.py": HELLO}) as server:
        server.wait_workers(2)
        server.get("/before")
        # The line is written after the response.
        until(lambda: "/before" in (tmp_path / "a.log").read_text(), "the line of /before")
        for name in ("e.log", "a.log"):
            (tmp_path / name).rename(tmp_path / f"{name}.1")
        server.send_signal(signal.SIGUSR1)
        server.until((tmp_path / "a.log").exists, "a new access log")

        def all_have_it() -> bool:
            return all(
                os.path.realpath(tmp_path / "a.log") in open_files(pid) for pid in server.workers()
            )

        server.until(all_have_it, "the new access log in every worker")
        server.get("/after")
        until(lambda: "/after" in (tmp_path / "a.log").read_text(), "the line of /after")
        assert "/after" not in (tmp_path / "a.log.1").read_text()
        assert "/before" in (tmp_path / "a.log.1").read_text()
    assert "Shutting down: Master" in (tmp_path / "e.log").read_text()


SLOW_TO_LOAD = (
    """\
import os, time
while not os.path.exists("go"):
    time.sleep(0.02)
"""
    + HELLO
)


@pytest.mark.parametrize("loading", [(), ("--preload",)], ids=["late", "preload"])
def test_usr1_while_the_application_is_loaded(tmp_path: Path, loading: tuple[str, ...]) -> None:
    """No process keeps a file that was moved away, the template and its faulthandler neither."""
    flags = ("--error-logfile", "e.log", "--access-logfile", "a.log", *loading)
    with Server("app:app", *flags, cwd=tmp_path, files={"app.py": SLOW_TO_LOAD}) as server:
        server.wait_workers(1)
        for name in ("e.log", "a.log"):
            (tmp_path / name).rename(tmp_path / f"{name}.1")
        server.send_signal(signal.SIGUSR1)
        server.until((tmp_path / "a.log").exists, "a new access log")
        (tmp_path / "go").touch()
        assert server.get("/after").status == 200
        pids = server.wait_workers(2 if loading else 1)
        moved = {f"{tmp_path}/{name}.log.1" for name in "ea"}
        server.until(lambda: not any(moved & open_files(pid) for pid in pids), "the new files")
        server.until(lambda: "/after" in (tmp_path / "a.log").read_text(), "the line of /after")


def test_captured_output_is_in_the_error_log(tmp_path: Path) -> None:
    flags = ("--error-logfile", "e.log", "--capture-output")
    with Server("app:app", *flags, cwd=tmp_path, files={"app.py": PRINTING}) as server:
        server.get("/")
        until(lambda: "complained by" in (tmp_path / "e.log").read_text(), "captured stderr")
        until(lambda: "printed by" in (tmp_path / "e.log").read_text(), "captured stdout")
        (tmp_path / "e.log").rename(tmp_path / "e.log.1")
        server.send_signal(signal.SIGUSR1)
        server.until((tmp_path / "e.log").exists, "a new error log")
        until(lambda: get_and_see(server, tmp_path / "e.log"), "captured output after USR1")
    server.never_says("printed by")


def get_and_see(server: Server, log: Path) -> bool:
    server.get("/")
    return "printed by" in log.read_text()


def test_a_full_disk_stops_nobody(tmp_path: Path) -> None:
    flags = ("--error-logfile", "/dev/full", "--access-logfile", "/dev/full", "--workers", "2")
    with Server("app:app", *flags, cwd=tmp_path, files={"app.py": HELLO}) as server:
        pids = server.wait_workers(2)
        for _ in range(20):
            assert server.get("/").status == 200
        assert server.workers() == pids


def test_a_reader_that_is_gone_stops_nobody(tmp_path: Path) -> None:
    """stdout and stderr are a pipe that nobody reads any more."""
    (tmp_path / "app.py").write_text(HELLO)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    command = ("sh", "-c", 'exec "$0" -m gunicorn "$@" >pipe 2>&1', sys.executable)
    with Server("app:app", "--access-logfile", "-", cwd=tmp_path, command=command) as server:
        assert os.read(reader, 100)
        os.close(reader)
        for _ in range(5):
            assert server.get("/").status == 200


def test_json_lines(tmp_path: Path) -> None:
    flags = ("--access-logfile", "a.log", "--access-logformat", "json")
    with Server("app:app", *flags, cwd=tmp_path, files={"app.py": HELLO}) as server:
        server.request("POST", "/?q=%22", b"body", {"Referer": 'http://x/"'})
    (line,) = (tmp_path / "a.log").read_text().splitlines()
    record = json.loads(line)
    assert record["method"] == "POST"
    assert record["target"] == "/?q=%22"
    assert record["referer"] == 'http://x/"'
    assert record["status"] == 200
    assert record["bytes_sent"] == 5
    assert 0 <= record["seconds"] < 20


def test_syslog(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog:
        syslog.bind(("127.0.0.1", 0))
        syslog.settimeout(20)
        address = f"udp://127.0.0.1:{syslog.getsockname()[1]}"
        flags = ("--log-syslog", "--log-syslog-to", address, "--log-syslog-prefix", "shop")
        with Server("app:app", *flags, cwd=tmp_path, files={"app.py": HELLO}) as server:
            assert syslog.recv(4096).startswith(b"<14>gunicorn.shop.error: [")
            server.get("/seen")
            while b"/seen" not in (line := syslog.recv(4096)):
                continue
            assert line.startswith(b"<14>gunicorn.shop.access: [")


def test_a_logger_class_of_the_user(tmp_path: Path) -> None:
    flags = ("--logger-class", "custom.Colors", "--access-logfile", "a.log")
    form = ("--access-logformat", "%(color)s %(U)s")
    files = {"app.py": HELLO, "custom.py": CUSTOM}
    with Server("app:app", *flags, *form, cwd=tmp_path, files=files) as server:
        server.get("/sky")
    assert (tmp_path / "a.log").read_text() == "blue /sky\n"
