"""A request that was served, and loggers that leave the logging module as they found it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from gunicorn.config import Config
from gunicorn.glogging import Logger


class Served:
    """One request and its response, as the access log sees them."""

    def __init__(self, environ: dict[str, Any] | None = None, **resp: Any) -> None:
        self.environ: dict[str, Any] = {
            "REMOTE_ADDR": "192.0.2.7",
            "REQUEST_METHOD": "GET",
            "RAW_URI": "/some%20path?x=1",
            "PATH_INFO": "/some path",
            "QUERY_STRING": "x=1",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_USER_AGENT": "curl/8",
            **(environ or {}),
        }
        self.req = SimpleNamespace(
            method="GET",
            uri="/some%20path?x=1",
            headers=[("HOST", "example.org"), ("X-TWICE", "a"), ("X-TWICE", "b")],
        )
        self.resp = SimpleNamespace(
            **{
                "status": "200 OK",
                "status_code": 200,
                "headers": [("Content-Type", "text/plain")],
                "sent": 6,
                **resp,
            }
        )
        self.seconds = 1.234567


class Listener(logging.Handler):
    """A handler that keeps the records it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def make_logger() -> Iterator[Callable[..., Logger]]:
    """make_logger(setting=value, ..., logger_class=Logger): a Logger, undone after the test."""
    loggers = [logging.getLogger(name) for name in ("gunicorn.error", "gunicorn.access", None)]
    before = [(each.level, each.propagate, each.handlers[:]) for each in loggers]

    def make(logger_class: type[Logger] = Logger, **settings: Any) -> Logger:
        cfg = Config()
        for name, value in settings.items():
            cfg.set(name, value)
        return logger_class(cfg)

    yield make
    for each, (level, propagate, handlers) in zip(loggers, before, strict=True):
        for handler in each.handlers[:]:
            if handler not in handlers:
                each.removeHandler(handler)
                handler.close()
        each.setLevel(level)
        each.propagate = propagate
        each.handlers[:] = handlers
