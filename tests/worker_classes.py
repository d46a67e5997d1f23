"""The worker classes that serve, with the options each is tested with.

Tests of what every worker class promises take the list from here. "tornado" stands for what it
does with a WSGI callable; a Tornado application is served by tornado's own HTTP server, whose
rules are its own.
"""

from __future__ import annotations

WORKER_CLASSES: dict[str, tuple[str, ...]] = {
    "sync": (),
    "sync-siblings": ("--workers", "2"),
    "gthread": ("--worker-class", "gthread", "--threads", "4"),
    "gevent": ("--worker-class", "gevent"),
    "eventlet": ("--worker-class", "eventlet"),
    "tornado": ("--worker-class", "tornado"),
}
"""Two sync workers share their connections, which is a loop of its own."""
