"""What the tests of listeners share: a configuration, a log, and listeners that get closed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gunicorn import sock
from gunicorn.config import Config

Opener = Callable[..., list[sock.Listener]]


def config(*bind: str, **settings: Any) -> Config:
    cfg = Config()
    cfg.set("bind", list(bind) or ["127.0.0.1:0"])
    for name, value in settings.items():
        cfg.set(name, value)
    return cfg


@pytest.fixture
def create(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Opener]:
    """create_listeners with retries that do not wait; closes what it made."""
    made: list[sock.Listener] = []
    monkeypatch.setattr(sock, "RETRY_DELAY", 0.0)
    caplog.set_level(logging.DEBUG)
    log: Any = logging.getLogger("test-sock")

    def create(*bind: str, fds: Any = None, **settings: Any) -> list[sock.Listener]:
        listeners = sock.create_listeners(config(*bind, **settings), log, fds)
        made.extend(listeners)
        return listeners

    yield create
    sock.close_listeners(made)
