"""A folder with an application, and the process as it was afterwards."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = """\
import os
seen = dict(os.environ), os.getcwd(), list(__import__("sys").path)
def app(environ, start_response):
    return ["app"]
def other(environ, start_response):
    return ["other"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["gunicorn"])
    for name in ("GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS", "SENDFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "shopapp.py").write_text(APP)
    environ, modules = dict(os.environ), set(sys.modules)
    yield tmp_path
    os.environ.clear()
    os.environ.update(environ)
    for name in set(sys.modules) - modules:
        del sys.modules[name]
