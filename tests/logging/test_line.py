"""The compiled renderer of a line and its Python twin give the same bytes."""

from __future__ import annotations

import os
import random
from types import SimpleNamespace
from typing import Any

import pytest

from gunicorn import compiled
from gunicorn.logs import access

DEFAULT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
FORMATS = [
    DEFAULT,
    "%(h)s %(m)s %(U)s %(H)s %(T)s %(M)s %(D)s %(L)s %(B)s %(b)s",
    "plain text, 100%% of it",
    "%({X}i)s %(q)s %(p)s %(s)-8s",
    "é %(h)s",
]
VALUES = [
    "", "-", "1.2.3.4", "/a/b?c=d", 'with "quotes"', "back\\slash", "é", "\x00", "\n", "x" * 9000,
    "€", "tab\there", "~", "\x7f",
]  # fmt: skip
VARIABLES = [
    "REMOTE_ADDR", "REQUEST_METHOD", "RAW_URI", "SERVER_PROTOCOL", "HTTP_REFERER",
    "HTTP_USER_AGENT", "PATH_INFO", "QUERY_STRING", "HTTP_AUTHORIZATION",
]  # fmt: skip


def stamp() -> str:
    return "[21/Nov/2026:12:00:00 +0000]"


def python_renderer(access_format: str, monkeypatch: pytest.MonkeyPatch) -> access.Renderer:
    with monkeypatch.context() as patch:
        patch.setenv("GUNICORN_PURE_PYTHON", "1")
        return access.compile_format(access_format, stamp)


def test_the_compiled_one_serves_where_it_is_installed() -> None:
    pure = os.environ.get("GUNICORN_PURE_PYTHON") == "1"
    renderer = access.compile_format(DEFAULT, stamp)
    assert (type(renderer).__name__ == "Line") == compiled.available()
    assert not (pure and compiled.available())


@pytest.mark.parametrize("access_format", FORMATS)
def test_the_twins_agree(access_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = access.compile_format(access_format, stamp)
    python = python_renderer(access_format, monkeypatch)
    dice = random.Random(access_format)
    for _ in range(2000):
        environ: dict[str, Any] = {
            name: dice.choice(VALUES) for name in VARIABLES if dice.random() < 0.8
        }
        request = SimpleNamespace(headers=[("X", dice.choice(VALUES))])
        status = dice.choice(["200 OK", "404 Not Found", "500", "204 No Content"])
        response = SimpleNamespace(
            status=status,
            status_code=int(status[:3]),
            sent=dice.choice([0, 1, 13, 2**40, None]),
            headers=[],
        )
        seconds = dice.choice([0.0, 0.000001, 0.5, 12.345678, 3600.0])
        assert ours(response, request, environ, seconds) == python(
            response, request, environ, seconds
        )
