"""Syslog over UDP, TCP and unix sockets; syslog that goes away and comes back."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from gunicorn.errors import ConfigError
from gunicorn.glogging import Logger
from gunicorn.logs.syslog import SyslogHandler, open_syslog, parse_address
from tests.logging.conftest import Served

MakeLogger = Callable[..., Logger]
DGRAM, STREAM = socket.SOCK_DGRAM, socket.SOCK_STREAM


def receiver(kind: socket.SocketKind, path: Path | None = None) -> socket.socket:
    server = socket.socket(socket.AF_UNIX if path else socket.AF_INET, kind)
    server.settimeout(10)
    server.bind(str(path) if path else ("127.0.0.1", 0))
    if kind is STREAM:
        server.listen()
    return server


def test_udp(make_logger: MakeLogger, served: Served) -> None:
    with receiver(DGRAM) as server:
        logger = make_logger(
            syslog=True,
            syslog_addr=f"udp://127.0.0.1:{server.getsockname()[1]}",
            syslog_prefix="shop:8000",
            syslog_facility="local3",
            errorlog=None,
            access_log_format="%(h)s %(s)s",
        )
        logger.error("trouble")
        pid = os.getpid()
        assert server.recv(999) == f"<155>gunicorn.shop.8000.error: [{pid}] trouble\0".encode()
        writer = logger.access_writer()
        assert writer is not None
        writer(served.resp, served.req, served.environ, served.seconds)
        assert (
            server.recv(999) == f"<158>gunicorn.shop.8000.access: [{pid}] 192.0.2.7 200\0".encode()
        )


def test_the_access_log_may_stay_away(make_logger: MakeLogger) -> None:
    with receiver(DGRAM) as server:
        logger = make_logger(
            syslog=True,
            syslog_addr=f"udp://127.0.0.1:{server.getsockname()[1]}",
            disable_redirect_access_to_syslog=True,
        )
        assert logger.access_writer() is None
        logger.info("hello")
        assert b"gunicorn.gunicorn.error: " in server.recv(999)


def test_tcp_is_connected_again_after_a_break() -> None:
    with receiver(STREAM) as server:
        handler = open_syslog(f"tcp://127.0.0.1:{server.getsockname()[1]}", "user")
        first, _ = server.accept()
        handler.emit(logging.makeLogRecord({"msg": "one", "levelno": logging.INFO}))
        assert first.recv(99) == b"<14>one\0"
        first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        first.close()  # a reset, which the next send sees
        handler.emit(logging.makeLogRecord({"msg": "two", "levelno": logging.INFO}))
        second, _ = server.accept()
        second.settimeout(10)
        with second:
            assert second.recv(99) == b"<14>two\0"
        handler.close()


def test_syslog_that_is_gone_costs_lines_and_nothing_else() -> None:
    with receiver(STREAM) as server:
        handler = open_syslog(f"tcp://127.0.0.1:{server.getsockname()[1]}", "user")
    for number in range(5):
        handler.emit(logging.makeLogRecord({"msg": f"{number}", "levelno": logging.INFO}))
    assert handler.lost >= 3
    handler.close()


@pytest.mark.parametrize(
    ("kind", "ending"), [(DGRAM, "#dgram"), (DGRAM, ""), (STREAM, "#stream"), (STREAM, "")]
)
def test_unix(kind: socket.SocketKind, ending: str, tmp_path: Path) -> None:
    with receiver(kind, tmp_path / "log") as server:
        handler: SyslogHandler = open_syslog(f"unix://{tmp_path}/log{ending}", "daemon")
        handler.emit(logging.makeLogRecord({"msg": "hello", "levelno": logging.CRITICAL}))
        source = server.accept()[0] if kind is STREAM else server
        assert source.recv(99) == b"<26>hello\0"
        if source is not server:
            source.close()
        handler.close()


@pytest.mark.parametrize(
    ("text", "address", "kinds"),
    [
        ("udp://localhost:514", ("localhost", 514), (DGRAM,)),
        ("udp://log.example", ("log.example", 514), (DGRAM,)),
        ("tcp://[::1]:601", ("::1", 601), (STREAM,)),
        ("tcp://[::1]", ("::1", 514), (STREAM,)),
        ("unix:///dev/log", "/dev/log", (DGRAM, STREAM)),
    ],
)
def test_addresses(text: str, address: object, kinds: tuple[socket.SocketKind, ...]) -> None:
    assert parse_address(text) == (address, kinds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "http://x",
        "udp://",
        "udp://x:",
        "udp://x:0",
        "udp://x:99999",
        "udp://x:a",
        "unix://",
        "unix:///dev/log#seqpacket",
        "tcp://[::1]x",
        "udp:/x",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigError, match="syslog_addr"):
        parse_address(text)


def test_an_unknown_facility() -> None:
    with pytest.raises(ConfigError, match="'loud' is not one of auth"):
        open_syslog("udp://127.0.0.1:514", "loud")


def test_a_server_that_refuses(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot log to 'unix://"):
        open_syslog(f"unix://{tmp_path}/nothing", "user")
