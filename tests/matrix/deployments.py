"""What meets in real deployments, and which of it cannot."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields

from tests.matrix.pairs import Row, table

WSGI_CLASSES = ("sync", "gthread", "gevent", "eventlet", "tornado")
UVICORN = "uvicorn_worker.UvicornWorker"

DIMENSIONS: dict[str, Sequence[str]] = {
    "stack": (
        *(f"{framework}-{kind}" for framework in ("flask", "django") for kind in WSGI_CLASSES),
        "fastapi-uvicorn",
    ),
    "logs": ("streams", "files", "syslog", "json", "logconfig", "dictconfig", "capture"),
    "loading": ("late", "preload"),
    "socket": ("tcp", "unix", "tls"),
    "process": ("foreground", "daemon"),
    "user": ("own", "nobody"),
    "recycling": ("lasting", "recycled"),
    "workers": ("1", "2"),
    "parser": ("compiled", "python"),
}
"""Framework and class are one dimension: with all else, these two meet in threes."""


@dataclass(frozen=True)
class Deployment:
    """One row: how a server is started. See DIMENSIONS for the values."""

    stack: str
    logs: str
    loading: str
    socket: str
    process: str
    user: str
    recycling: str
    workers: str
    parser: str

    @property
    def framework(self) -> str:
        return self.stack.partition("-")[0]

    @property
    def worker_class(self) -> str:
        kind = self.stack.partition("-")[2]
        return UVICORN if kind == "uvicorn" else kind

    def __str__(self) -> str:
        return "-".join(getattr(self, field.name) for field in fields(self))


def allowed(row: Row) -> bool:
    """Whether the values of a row, which may be incomplete, can meet."""
    # The standard streams of a daemon lead nowhere.
    return not (row.get("logs") == "streams" and row.get("process") == "daemon")


@functools.cache
def deployments() -> list[Deployment]:
    """The table, the same at each call."""
    return [Deployment(**row) for row in table(DIMENSIONS, allowed)]
