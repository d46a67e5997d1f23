"""Lines of the access log that are written together.

A write to a file costs a third of what a small request costs. The lines of the requests that an
event loop answers in one round are written at its end, in one piece. A round is short: a request
that took long has its line, and those before it, written at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gunicorn.logs.access import Renderer
from gunicorn.logs.handlers import LineHandler

MOST_LINES = 64
"""Lines that are kept at the most."""

LONG = 0.005
"""Seconds after which a request counts as one that took long."""


class AccessBatch:
    """Called after each request as an access writer is; `flush` writes what has gathered."""

    __slots__ = ("complain", "handler", "lines", "render")

    def __init__(
        self, render: Renderer, handler: LineHandler, complain: Callable[[], None]
    ) -> None:
        """`complain` is called, in the handling of an exception, for a line that failed."""
        self.render = render
        self.handler = handler
        self.complain = complain
        self.lines: list[bytes] = []

    def __call__(self, resp: Any, req: Any, environ: dict[str, Any], seconds: float) -> None:
        lines = self.lines
        try:
            lines.append(self.render(resp, req, environ, seconds))
        except Exception:
            self.complain()
        if seconds > LONG or len(lines) >= MOST_LINES:
            self.flush()

    def flush(self) -> None:
        """Write the lines that have gathered."""
        if self.lines:
            lines, self.lines = self.lines, []
            self.handler.write(b"".join(lines))
