"""What is measured, as data: an application, what is asked of it, and by how many connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .servers import SERVERS

MIB = 1 << 20

PEERS = tuple(server.key for server in SERVERS if server.peer and not server.special)
ALL = ("floor", "ours", "ours-pure", *PEERS)
REAL = ("ours", *PEERS)
"""The floor sends one constant and no more."""


@dataclass(frozen=True)
class Scenario:
    """One table of the report."""

    key: str
    title: str
    app: str
    """A module of apps/ and the callable in it."""
    path: str = "/"
    connections: int = 64
    script: str | None = None
    """A script of wrk_scripts/ that makes the request; without one it is GET and a Host field."""
    upload: int = 0
    """Bytes of the request body that the script sends."""
    response: int = 13
    """Bytes of the response body."""
    bulk: int = 0
    """Bytes that a request moves, where throughput is what counts."""
    servers: tuple[str, ...] = ALL


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("hello-minimal", "Hello, minimal request", "hello:app"),
    Scenario(
        "hello-browser", "Hello, a browser's 13 field lines", "hello:app", script="browser.lua"
    ),
    Scenario(
        "hello-varied",
        "Hello, a browser's 13 field lines, no two requests alike",
        "hello:app",
        script="varied.lua",
    ),
    Scenario(
        "hello-browser-1",
        "Hello, a browser's 13 field lines, 1 connection",
        "hello:app",
        script="browser.lua",
        connections=1,
    ),
    Scenario(
        "hello-browser-512",
        "Hello, a browser's 13 field lines, 512 connections",
        "hello:app",
        script="browser.lua",
        connections=512,
    ),
    Scenario(
        "response-1m",
        "Response of 1 MiB, one bytes object",
        "payload:app",
        path="/body",
        response=MIB,
        bulk=MIB,
        servers=REAL,
    ),
    Scenario(
        "upload-1m",
        "Upload of 1 MiB",
        "payload:app",
        path="/upload",
        script="upload.lua",
        upload=MIB,
        response=len(str(MIB)),
        bulk=MIB,
        servers=REAL,
    ),
    Scenario(
        "file-10m",
        "File of 10 MiB by wsgi.file_wrapper",
        "payload:app",
        path="/file/10",
        response=10 * MIB,
        bulk=10 * MIB,
        servers=REAL,
    ),
    Scenario("flask", "Flask hello", "flask_hello:app", script="browser.lua"),
    Scenario("django", "Django hello", "django_hello:app", script="browser.lua"),
    Scenario(
        "access-log",
        "Access log, default format, to a file",
        "hello:app",
        script="browser.lua",
        servers=("ours", "ours-log", "pypi-sync", "pypi-sync-log"),
    ),
    Scenario(
        "threads",
        "Hello, four threads",
        "hello:app",
        servers=("ours", "ours-gthread", "granian-4", "pypi-gthread-4"),
    ),
    Scenario(
        "gevent",
        "Hello, gevent",
        "hello:app",
        servers=("ours", "ours-gevent", "gevent", "pypi-gevent"),
    ),
    Scenario(
        "gevent-fresh",
        "Hello, gevent, a connection for each request",
        "hello:app",
        script="close.lua",
        servers=("ours", "ours-gevent", "gevent", "pypi-gevent"),
    ),
)

BY_KEY: Mapping[str, Scenario] = {scenario.key: scenario for scenario in SCENARIOS}
