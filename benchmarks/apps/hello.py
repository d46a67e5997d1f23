"""Thirteen bytes: what is left is the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def app(
    environ: dict[str, Any],  # noqa: ARG001 - how PEP 3333 calls an application
    start_response: Callable[..., Any],
) -> Iterable[bytes]:
    """Answer every request with the same small text."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, World!"]
