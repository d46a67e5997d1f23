"""The largest and the least that a setting takes, and numbers as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from gunicorn.config import Config
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
