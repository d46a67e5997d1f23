"""The largest and the least that a setting takes, and numbers as people write them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gunicorn.config import Config
from gunicorn.config.address import parse_address
from gunicorn.errors import ConfigError


def value_of(setting: str, value: Any) -> Any:
    config = Config()
    config.set(setting, value, "a test")
    return config.settings[setting].get()


@pytest.mark.parametrize(
    ("setting", "value", "taken"),
    [
        ("limit_request_fields", 32768, 32768),
        ("reload_surge", "100%", "100%"),
        ("reload_surge", "1%", "1%"),
        ("workers", "0x10", 16),
        ("backlog", "0b1000", 8),
        ("workers", "010", 10),
        ("preload_app", "off", False),
        ("preload_app", "on", True),
        ("bind", "[FE80::A]:80", ["[FE80::A]:80"]),
    ],
)
def test_what_is_taken(setting: str, value: Any, taken: Any) -> None:
    assert value_of(setting, value) == taken


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("limit_request_fields", 32769),
        ("reload_surge", "101%"),
        ("reload_surge", "0%"),
        ("header_timeout", float("inf")),
        ("header_timeout", "nan"),
        ("workers", "ten"),
    ],
)
def test_what_is_not(setting: str, value: Any) -> None:
    with pytest.raises(ConfigError):
        value_of(setting, value)


def test_one_address_is_written_in_one_way() -> None:
    """Else a reload that only changes the case would bind it a second time."""
    assert parse_address("[FE80::A]:80") == parse_address("[fe80::a]:80") == ("fe80::a", 80)
    assert parse_address("LocalHost:80") == parse_address("localhost:80")


def test_the_file_on_the_command_line_goes_before_that_of_the_variable(tmp_path: Path) -> None:
    for name in ("own", "variable"):
        (tmp_path / f"{name}.py").write_text(f"proc_name = 'named-by-{name}'\n")
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--print-config", "-c", "own.py", "app:app"],
        cwd=tmp_path,
        env={**os.environ, "GUNICORN_CMD_ARGS": "-c variable.py"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "named-by-own" in done.stdout
    assert "named-by-variable" not in done.stdout
