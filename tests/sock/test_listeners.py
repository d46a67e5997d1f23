"""Binding: what a listener is like, and what is said when there can be none."""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from gunicorn import sock, unix_path
from gunicorn.errors import ConfigError, HaltServer
from gunicorn.unix_path import UNIX_PATH_MAX
from tests.sock.conftest import Opener


def test_a_tcp_listener(create: Opener) -> None:
    (listener,) = create("127.0.0.1:0")
    port = listener.getsockname()[1]
    assert isinstance(listener, sock.TCPListener)
    assert str(listener) == f"http://127.0.0.1:{port}"
    assert listener.cfg_addr == ("127.0.0.1", 0)
    assert listener.sock is listener
    assert not listener.getblocking()
    assert not listener.get_inheritable()
    with pytest.raises(BlockingIOError):
        listener.accept()
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        accepted = accept(listener)
        with accepted:
            assert type(accepted) is socket.socket
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def accept(listener: sock.Listener) -> socket.socket:
    end = time.monotonic() + 10
    while True:
        try:
            return listener.accept()[0]
        except BlockingIOError:
            assert time.monotonic() < end, "no connection to accept"


def test_a_tcp6_listener(create: Opener) -> None:
    (listener,) = create("[::1]:0")
    assert isinstance(listener, sock.TCP6Listener)
    assert str(listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_a_host_name(create: Opener) -> None:
    (listener,) = create("localhost:0")
    assert listener.getsockname()[0] == "127.0.0.1"


def test_several_addresses_in_their_order_and_once_each(create: Opener, tmp_path: Path) -> None:
    path = tmp_path / "s"
    first, second = create(f"unix:{path}", "127.0.0.1:0", f"unix:{path}")
    assert str(first) == f"unix:{path}"
    assert str(second).startswith("http://127.0.0.1:")


def test_a_closed_listener_still_has_a_name(create: Opener) -> None:
    (listener,) = create("127.0.0.1:0")
    listener.close()
    assert str(listener) == "http://127.0.0.1:0"


def test_ports_are_shared_with_reuse_port(create: Opener) -> None:
    (first,) = create("127.0.0.1:0", reuse_port=True)
    (second,) = create(f"127.0.0.1:{first.getsockname()[1]}", reuse_port=True)
    assert first.getsockname() == second.getsockname()


def test_reuse_port_makes_a_listener_for_each_worker(create: Opener, tmp_path: Path) -> None:
    listeners = create("127.0.0.1:0", f"unix:{tmp_path}/s", reuse_port=True, workers=3)
    assert len({str(each) for each in listeners}) == 2
    assert len(listeners) == 4
    many = create("127.0.0.1:0", reuse_port=True, workers=100)
    assert len(many) == sock.MOST_LISTENERS
    for each in many:
        with socket.create_connection(each.getsockname(), timeout=10):
            pass


def test_reuse_port_where_there_is_none(create: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(ConfigError, match="reuse_port: this platform has no SO_REUSEPORT"):
        create("127.0.0.1:0", reuse_port=True)


# Unix sockets


def test_a_unix_listener(create: Opener, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    before = os.umask(0o077)
    try:
        (listener,) = create(f"unix:{path}", umask=0o027)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert isinstance(listener, sock.UnixListener)
    assert str(listener) == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        accept(listener).close()
    sock.close_listeners([listener])
    assert not path.exists()


def test_a_unix_socket_belongs_to_the_user_of_workers(
    create: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(unix_path, "give_away", lambda *args: owners.append(args))
    path = str(tmp_path / "s")
    create(f"unix:{path}", user="1234", group="1235")
    assert owners == [(path, 1234, 1235)]


def test_a_relative_path_is_unlinked_from_anywhere(
    create: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (listener,) = create("unix:web.sock")
    monkeypatch.chdir("/")
    sock.close_listeners([listener])
    assert list(tmp_path.iterdir()) == []


def test_a_path_may_be_kept(create: Opener, tmp_path: Path) -> None:
    path = tmp_path / "s"
    sock.close_listeners(create(f"unix:{path}"), unlink=False)
    assert path.exists()


def test_a_stale_socket_is_replaced(create: Opener, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (listener,) = create(f"unix:{path}")
    assert str(listener) == f"unix:{path}"


def test_the_socket_of_a_live_server_is_left_alone(
    create: Opener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s"
    (live,) = create(f"unix:{path}")
    with pytest.raises(HaltServer):
        create(f"unix:{path}")
    assert f"Connection in use: {path}" in caplog.text
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        # The probes of the second server are in the backlog before this client.
        accept(live).close()


def test_the_socket_of_a_successor_is_not_unlinked(create: Opener, tmp_path: Path) -> None:
    path = tmp_path / "s"
    (old,) = create(f"unix:{path}")
    path.rename(tmp_path / "aside")
    create(f"unix:{path}")
    sock.close_listeners([old])
    assert path.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_what_is_not_a_socket_is_left_alone(create: Opener, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"exists and is not a socket\. Remove it or"):
        create(f"unix:{path}")
    assert os.path.lexists(path)


def test_a_path_that_is_too_long(create: Opener, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"may have 10\d bytes, '.*' has \d+\. Choose a shorter"):
        create(f"unix:{tmp_path / ('x' * 110)}")


def test_the_longest_path(create: Opener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (listener,) = create("unix:" + "x" * UNIX_PATH_MAX)
    assert listener.fileno() >= 0


def test_a_folder_that_is_missing(create: Opener, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No such file .*The folder '.*/no' must exist"):
        create(f"unix:{tmp_path}/no/s")


# What goes wrong


def test_an_address_in_use_is_tried_five_times(
    create: Opener, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = other.getsockname()
        with pytest.raises(HaltServer) as caught:
            create(f"unix:{tmp_path}/s", f"127.0.0.1:{address[1]}")
    assert caught.value.exit_status == 1
    assert caught.value.reason == f"Can't connect to {address}"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        *[("ERROR", f"Connection in use: {address}"), ("INFO", "Retrying in 1 second.")] * 4,
        ("ERROR", f"Connection in use: {address}"),
        ("ERROR", f"Can't connect to {address}"),
    ]
    assert list(tmp_path.iterdir()) == [], "the listener opened first is given up, too"


def test_an_address_that_becomes_free_is_taken(
    create: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = socket.socket()
    other.bind(("127.0.0.1", 0))
    other.listen()
    port = other.getsockname()[1]
    monkeypatch.setattr(time, "sleep", lambda seconds: other.close())
    (listener,) = create(f"127.0.0.1:{port}")
    assert listener.getsockname()[1] == port


def test_an_address_of_another_machine(create: Opener, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(HaltServer):
        create("192.0.2.1:8000")
    assert "Connection to ('192.0.2.1', 8000) failed: " in caplog.text


def test_a_port_that_is_not_permitted(create: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(self: Any, address: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(sock.Listener, "bind", bind)
    expected = r"may not listen on \('127.0.0.1', 80\): Permission denied.*CAP_NET_BIND_SERVICE"
    with pytest.raises(ConfigError, match=expected):
        create("127.0.0.1:80")


def test_a_host_that_does_not_exist(create: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConfigError, match=r"the host of \('nowhere', 80\) cannot be resolved: Na"):
        create("nowhere:80")


def test_a_name_server_that_does_not_answer_yet(
    create: Opener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = socket.getaddrinfo
    answers = [socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")] * 2

    def sometimes(*args: Any, **kwargs: Any) -> Any:
        if answers:
            raise answers.pop()
        return real(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", sometimes)
    (listener,) = create("localhost:0")
    assert listener.fileno() >= 0
    assert "Temporary failure" in caplog.text


def test_the_wait_between_tries_is_a_second() -> None:
    assert (sock.TRIES, sock.RETRY_DELAY) == (5, 1.0)
