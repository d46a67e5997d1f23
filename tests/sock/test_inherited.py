"""Descriptors that somebody else opened: fd://N, a service manager's, a predecessor's."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gunicorn import sock
from gunicorn.errors import ConfigError
from tests.sock.conftest import Opener


@pytest.fixture
def passed(tmp_path: Path) -> Iterator[list[socket.socket]]:
    """Bound sockets as another process passes them: inheritable and blocking."""
    tcp, tcp6, unix = socket.socket(), socket.socket(socket.AF_INET6), socket.socket(socket.AF_UNIX)
    tcp.bind(("127.0.0.1", 0))
    tcp6.bind(("::1", 0))
    unix.bind(str(tmp_path / "passed.sock"))
    sockets = [tcp, tcp6, unix]
    for each in sockets:
        each.listen()
        each.set_inheritable(True)
    yield sockets
    for each in sockets:
        each.close()


def duplicates(sockets: list[socket.socket]) -> list[int]:
    return [os.dup(each.fileno()) for each in sockets]


def test_a_descriptor_of_the_configuration(create: Opener, passed: list[socket.socket]) -> None:
    fd = os.dup(passed[0].fileno())
    (listener,) = create(f"fd://{fd}")
    assert listener.fileno() == fd
    assert listener.cfg_addr == fd
    assert str(listener) == f"http://127.0.0.1:{passed[0].getsockname()[1]}"
    assert not listener.getblocking()
    assert not listener.get_inheritable()


def test_a_descriptor_that_does_not_listen_yet(create: Opener) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        create(f"fd://{os.dup(bound.fileno())}")
        with socket.create_connection(bound.getsockname(), timeout=10):
            pass


def test_all_inherited_sockets_are_kept_and_nothing_else_bound(
    create: Opener, passed: list[socket.socket], tmp_path: Path
) -> None:
    tcp, tcp6, unix = create("127.0.0.2:0", fds=duplicates(passed))
    assert tcp.cfg_addr == passed[0].getsockname()
    assert str(tcp6) == f"http://[::1]:{passed[1].getsockname()[1]}"
    assert isinstance(unix, sock.UnixListener)
    assert str(unix) == f"unix:{tmp_path}/passed.sock"
    assert unix.path == f"{tmp_path}/passed.sock"


def test_a_successor_binds_only_what_is_new(
    create: Opener, passed: list[socket.socket], tmp_path: Path
) -> None:
    port = passed[0].getsockname()[1]
    listeners = create(
        f"localhost:{port}", f"unix:{tmp_path}/passed.sock", "127.0.0.3:0", fds=duplicates(passed)
    )
    assert [each.cfg_addr for each in listeners] == [
        ("localhost", port),
        ("::1", passed[1].getsockname()[1]),
        f"{tmp_path}/passed.sock",
        ("127.0.0.3", 0),
    ]
    assert listeners[3].getsockname()[0] == "127.0.0.3"


def test_a_successor_knows_a_port_that_the_system_chose(
    create: Opener, passed: list[socket.socket]
) -> None:
    (listener,) = create("127.0.0.1:0", fds=duplicates(passed[:1]))
    assert listener.getsockname() == passed[0].getsockname()
    assert listener.cfg_addr == ("127.0.0.1", 0)


def test_an_inherited_path_is_unlinked_with_the_last_server(
    create: Opener, passed: list[socket.socket], tmp_path: Path
) -> None:
    listeners = create(fds=duplicates(passed[2:]))
    sock.close_listeners(listeners)
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_is_not_open(create: Opener) -> None:
    with pytest.raises(ConfigError, match="descriptor 987654 is not an open socket"):
        create("fd://987654")


def test_a_file(create: Opener, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w") as file, pytest.raises(ConfigError, match="is not an open socket"):
        create(f"fd://{file.fileno()}")


def test_a_datagram_socket_stays_open(create: Opener) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        with pytest.raises(ConfigError, match="AF_INET, SOCK_DGRAM; expected a stream socket"):
            create(f"fd://{datagrams.fileno()}")
        assert os.fstat(datagrams.fileno())


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_a_socket_without_an_address(create: Opener, family: int) -> None:
    with (
        socket.socket(family) as unbound,
        pytest.raises(ConfigError, match=f"descriptor {unbound.fileno()} is not bound"),
    ):
        create(f"fd://{unbound.fileno()}")
