"""The servers that are compared, as data: what each is called, how it is started, where it lives.

Fair settings for each: one process, one thread for the application, keep-alive, no access log, a
backlog that holds every connection. A peer without a command of its own is started by start.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import places


@dataclass(frozen=True)
class Server:
    """One row of the tables. In `command`, {bin}, {app} and {port} are filled in at the start."""

    key: str
    title: str
    command: tuple[str, ...]
    environment: Path = places.MAIN
    distribution: str | None = None
    """What it is installed as; None for the floor."""
    install_step: str | None = None
    """The name under which install.py keeps why it is missing; `distribution` when None."""
    peer: bool = True
    """Somebody else's server: counts where a target says "the best peer"."""
    keep_alive: bool = True
    special: bool = False
    """Stands in the tables that name it, and in no other."""

    def argv(self, app: str, port: int) -> list[str]:
        """The command that serves `app`, a "module:callable", on this port of 127.0.0.1."""
        values = {"bin": str(self.environment / "bin"), "app": app, "port": port}
        return [part.format(**values) for part in self.command]


def _gunicorn(*more: str) -> tuple[str, ...]:
    """The command that this tree's Gunicorn and PyPI's share."""
    return (
        *("{bin}/gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "1", "--backlog", "2048"),
        *("--worker-connections", "20000", "--keep-alive", "60", "--log-level", "warning"),
        *(*more, "{app}"),
    )


def _granian(threads: int) -> tuple[str, ...]:
    """Granian with so many threads for the application."""
    return (
        *("{bin}/granian", "--interface", "wsgi", "--http", "1", "--workers", "1"),
        *("--blocking-threads", str(threads), "--runtime-threads", "1", "--backlog", "2048"),
        *("--no-ws", "--no-access-log", "--log-level", "warning"),
        *("--host", "127.0.0.1", "--port", "{port}", "{app}"),
    )


def _started(name: str) -> tuple[str, ...]:
    """The command for a peer that start.py runs."""
    return ("{bin}/python", str(places.HERE / "start.py"), name, "{app}", "{port}")


ACCESS_LOG = ("--access-logfile", "access.log")
"""The default format, to a file in the server's own temporary directory."""
NO_CONTROL = "--no-control-socket"
"""Without it PyPI's Gunicorn leaves a socket in the home directory."""
FOUR_THREADS = ("--worker-class", "gthread", "--threads", "4")
# Without keep-alive: http11-socket has it, but one process then answers one connection and leaves
# the others to wait until that is closed; the router (http) has it and costs more than closing.
# The field tells the client what happens anyway.
UWSGI = (
    *("{bin}/pyuwsgi", "--http-socket", "127.0.0.1:{port}", "--add-header", "Connection: close"),
    *("--module", "{app}"),
    *("--processes", "1", "--listen", "1024", "--disable-logging", "--die-on-term"),
    "--need-app",
)

SERVERS: tuple[Server, ...] = (
    Server("floor", "floor (epoll, recv, send)", (str(places.FLOOR), "{port}"), peer=False),
    Server(
        "ours",
        "gunicorn, this tree",
        _gunicorn(),
        distribution="gunicorn",
        peer=False,
    ),
    Server(
        "ours-pure",
        "gunicorn, this tree, no compiled module",
        _gunicorn(),
        environment=places.PURE,
        distribution="gunicorn",
        install_step="gunicorn without its compiled module",
        peer=False,
    ),
    Server("fastwsgi", "FastWSGI", _started("fastwsgi"), distribution="fastwsgi"),
    Server("bjoern", "bjoern", _started("bjoern"), distribution="bjoern"),
    Server("granian", "Granian", _granian(1), distribution="granian"),
    Server("uwsgi", "uWSGI", UWSGI, distribution="pyuwsgi", keep_alive=False),
    Server("gevent", "gevent.pywsgi", _started("gevent"), distribution="gevent"),
    Server("waitress", "waitress", _started("waitress"), distribution="waitress"),
    Server("cheroot", "cheroot", _started("cheroot"), distribution="cheroot"),
    Server(
        "pypi-sync",
        "Gunicorn from PyPI, sync",
        _gunicorn(NO_CONTROL),
        environment=places.PYPI,
        distribution="gunicorn",
        install_step="gunicorn from PyPI",
        keep_alive=False,
    ),
    Server(
        "pypi-gthread",
        "Gunicorn from PyPI, gthread",
        _gunicorn(NO_CONTROL, "--worker-class", "gthread", "--threads", "1"),
        environment=places.PYPI,
        distribution="gunicorn",
        install_step="gunicorn from PyPI",
    ),
    Server(
        "ours-log",
        "gunicorn, this tree, access log on",
        _gunicorn(*ACCESS_LOG),
        distribution="gunicorn",
        peer=False,
        special=True,
    ),
    Server(
        "pypi-sync-log",
        "Gunicorn from PyPI, sync, access log on",
        _gunicorn(NO_CONTROL, *ACCESS_LOG),
        environment=places.PYPI,
        distribution="gunicorn",
        install_step="gunicorn from PyPI",
        keep_alive=False,
        special=True,
    ),
    Server(
        "ours-gthread",
        "gunicorn, this tree, gthread with 4 threads",
        _gunicorn(*FOUR_THREADS),
        distribution="gunicorn",
        peer=False,
        special=True,
    ),
    Server(
        "granian-4",
        "Granian with 4 blocking threads",
        _granian(4),
        distribution="granian",
        special=True,
    ),
    Server(
        "pypi-gthread-4",
        "Gunicorn from PyPI, gthread with 4 threads",
        _gunicorn(NO_CONTROL, *FOUR_THREADS),
        environment=places.PYPI,
        distribution="gunicorn",
        install_step="gunicorn from PyPI",
        special=True,
    ),
    Server(
        "ours-gevent",
        "gunicorn, this tree, gevent",
        _gunicorn("--worker-class", "gevent"),
        distribution="gunicorn",
        peer=False,
        special=True,
    ),
    Server(
        "pypi-gevent",
        "Gunicorn from PyPI, gevent",
        _gunicorn(NO_CONTROL, "--worker-class", "gevent"),
        environment=places.PYPI,
        distribution="gunicorn",
        install_step="gunicorn from PyPI",
        special=True,
    ),
)

BY_KEY: Mapping[str, Server] = {server.key: server for server in SERVERS}
