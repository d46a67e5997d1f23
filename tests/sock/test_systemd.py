"""Notices to the service manager and the sockets it passes."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from pathlib import Path

import pytest

from gunicorn import proctitle, systemd

START = systemd.SD_LISTEN_FDS_START


def test_a_notice_arrives_on_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        assert systemd.notify("READY=1\nSTATUS=Serving") is True
        assert manager.recv(100) == b"READY=1\nSTATUS=Serving"


def test_a_notice_arrives_on_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"gunicorn-test-{uuid.uuid4()}"
    if sys.platform != "linux":
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        assert systemd.notify("READY=1") is False
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        assert systemd.notify("STOPPING=1") is True
        assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("address", ["", "/nonexistent/notify", "vsock:2:1234", "@nobody-here"])
def test_without_a_manager_nothing_is_sent(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert systemd.notify("READY=1") is False


def test_without_the_variable_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert systemd.notify("READY=1") is False


def passed(monkeypatch: pytest.MonkeyPatch, pid: str, count: str) -> list[int]:
    """What listen_fds says, without touching the descriptors of the test process."""
    made_private: list[int] = []
    monkeypatch.setattr(os, "set_inheritable", lambda fd, _: made_private.append(fd))
    monkeypatch.setenv("LISTEN_PID", pid)
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_FDNAMES", "web")
    fds = systemd.listen_fds()
    assert made_private == fds
    assert not {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} & set(os.environ)
    return fds


def test_passed_sockets_are_counted_from_three(monkeypatch: pytest.MonkeyPatch) -> None:
    assert passed(monkeypatch, str(os.getpid()), "2") == [START, START + 1]


@pytest.mark.parametrize(
    ("pid", "count"),
    [("1", "2"), ("me", "2"), ("", ""), pytest.param(str(os.getpid()), "many", id="many")],
)
def test_sockets_meant_for_others_are_left(
    monkeypatch: pytest.MonkeyPatch, pid: str, count: str
) -> None:
    assert passed(monkeypatch, pid, count) == []


def test_the_variables_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert systemd.listen_fds(unset_environment=False) == []
    assert os.environ["LISTEN_FDS"] == "1"


def test_titles_are_set_where_that_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    titles: list[str] = []
    monkeypatch.setattr(proctitle, "_setproctitle", titles.append)
    proctitle.set_title("worker [shop]")
    monkeypatch.setattr(proctitle, "_setproctitle", None)
    proctitle.set_title("master [shop]")
    assert titles == ["gunicorn: worker [shop]"]
