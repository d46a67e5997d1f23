"""handle_error: what a connection that went wrong is answered, and what is logged."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from types import SimpleNamespace
from typing import Any

import pytest

from gunicorn.config import Config
from gunicorn.workers import refusal
from gunicorn.workers.base import Worker


class TooLargeError(Exception):
    status = 413


class OddStatusError(Exception):
    status = "no number"


def handle(exc: BaseException, req: Any = None, addr: Any = ("192.0.2.7", 4711)) -> bytes:
    log: Any = logging.getLogger("test-refusal")
    app: Any = None
    worker = Worker(1, os.getpid(), [], app, 30, Config(), log)
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.setblocking(False)
            worker.handle_error(req, ours, addr, exc)
        theirs.settimeout(10)
        received = b""
        while chunk := theirs.recv(65536):
            received += chunk
    return received


def test_the_status_of_the_error_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    head, _, body = handle(TooLargeError("secret detail")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    assert b"Connection: close" in head.split(b"\r\n")
    assert b"secret" not in body
    record = caplog.records[-1]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "Invalid request from ip=192.0.2.7: secret detail"


@pytest.mark.parametrize("error", [KeyError("secret"), OddStatusError("secret")])
def test_other_errors_are_500_and_logged_in_full(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    answer = handle(error, SimpleNamespace(uri="/shop?x=1"))
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"secret" not in answer
    assert caplog.records[-1].getMessage() == "Error handling request /shop?x=1"
    assert caplog.records[-1].exc_info is not None


@pytest.mark.parametrize("error", [ssl.SSLError("wrong version"), ConnectionResetError()])
def test_a_broken_connection_gets_no_answer(error: Exception) -> None:
    assert handle(error, addr="") == b""


def test_a_client_that_is_gone_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ours, theirs = socket.socketpair()
    theirs.close()
    log: Any = logging.getLogger("test-refusal")
    with ours:
        refusal.answer(log, None, ours, None, TooLargeError())
    assert "Could not send the error response to unix client" in caplog.text


def test_an_unknown_status_has_a_phrase() -> None:
    assert refusal.render(499).startswith(b"HTTP/1.1 499 Error\r\n")
