"""Where the errors of a run must have been logged.

What leaves the application is logged by the server. What a view raises is logged by its framework:
Flask's way is `wsgi.errors` (the error log, though not syslog) unless the root logger has a
handler; Django's is standard error, and the root logger's handler besides; FastAPI's goes on to the
server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.matrix.run import Run


@dataclass(frozen=True)
class Record:
    """An error, logged once."""

    message: str
    place: str
    """"error", the error log, or "err", standard error."""
    has_level: bool
    """Whether its level is in brackets, as the server's formats have it."""


def records(run: Run) -> Iterator[Record]:
    """All of a run; those for standard error too where that leads nowhere."""
    logs, framework = run.deployment.logs, run.deployment.framework
    server = {"streams": ["err"], "syslog": ["error", "err"]}.get(logs, ["error"])
    own = server[-1]  # of the error log what is no handler of syslog
    stderr = "error" if logs == "capture" else "err"
    root = {"logconfig": ["err"], "dictconfig": ["error"]}.get(logs, [])
    for n in run.crashed:
        for place in server:
            yield Record(f"RuntimeError: crashed {n}\n", place, has_level=True)
    for n in run.failed:
        message = f"ValueError: failed {n}\n"
        for place in server if framework == "fastapi" else root:
            yield Record(message, place, has_level=True)
        if framework == "django" or (framework == "flask" and not root):
            yield Record(message, stderr if framework == "django" else own, has_level=False)
