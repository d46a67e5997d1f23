"""Wait for conditions, never for time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

DEADLINE = 20.0
"""Seconds that any wait may take, unless told otherwise: generous, for machines are noisy."""

T = TypeVar("T")


def until(condition: Callable[[], T], what: str = "the condition", timeout: float = DEADLINE) -> T:
    """Poll until `condition()` is true and return its value; AssertionError after `timeout`."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not so after {timeout} s")
        time.sleep(0.02)
