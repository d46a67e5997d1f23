"""The systemd units: systemd takes them, and gunicorn takes the command in them."""

from __future__ import annotations

import configparser
import shlex
import subprocess
import sys
from pathlib import Path

from gunicorn.config import Config
from tests.deploy.places import DEPLOY, check_config
from tests.programs import program

KNOWN = {
    "Unit": {"Description", "Requires", "After"},
    "Service": {
        "Type",
        "NotifyAccess",
        "User",
        "Group",
        "WorkingDirectory",
        "ExecStart",
        "ExecReload",
        "KillMode",
        "TimeoutStopSec",
        "Restart",
        "RestartSec",
        "PrivateTmp",
        "ProtectSystem",
        "ProtectHome",
        "NoNewPrivileges",
    },
    "Socket": {"ListenStream", "SocketUser", "SocketGroup", "SocketMode"},
    "Install": {"WantedBy"},
}


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters="=", comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their case
    parser.read_string((DEPLOY / name).read_text())
    return parser


def test_every_directive_is_one_that_systemd_knows() -> None:
    for name in ("gunicorn.service", "gunicorn.socket"):
        for section, directives in unit(name).items():
            if section != "DEFAULT":
                assert set(directives) <= KNOWN[section], f"{name} [{section}]"


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """Its own verdict; the paths of a server are put in place."""
    service = (DEPLOY / "gunicorn.service").read_text()
    service = service.replace("/srv/app/.venv/bin/gunicorn", sys.executable)
    (tmp_path / "gunicorn.service").write_text(service)
    (tmp_path / "gunicorn.socket").write_text((DEPLOY / "gunicorn.socket").read_text())
    done = subprocess.run(
        [program("systemd-analyze"), "verify", "gunicorn.service", "gunicorn.socket"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "gunicorn." in line]
    assert complaints == []


def test_gunicorn_accepts_the_command() -> None:
    program, *arguments = shlex.split(unit("gunicorn.service")["Service"]["ExecStart"])
    assert program.endswith("/bin/gunicorn")
    assert arguments.pop() == "project.wsgi"
    check_config([*arguments, "demo:app"])


def test_the_socket_is_the_one_that_nginx_connects_to() -> None:
    listening = unit("gunicorn.socket")["Socket"]["ListenStream"]
    assert f"server unix:{listening} " in (DEPLOY / "nginx.conf").read_text()


def test_systemd_waits_longer_than_a_graceful_stop() -> None:
    waits = int(unit("gunicorn.service")["Service"]["TimeoutStopSec"])
    assert waits > Config().graceful_timeout
