"""Start one of the peers that have no command of their own: start.py NAME MODULE:APP PORT.

Each in its own few lines, by its documented interface. The settings are meant to be fair: one
process, one thread for the application, keep-alive, no access log, a backlog that holds every
connection of the benchmarks. Runs in the environment of the peers, by its path.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

HOST = "127.0.0.1"
BACKLOG = 2048
CONNECTIONS = 20_000


def bjoern(app: Any, port: int) -> None:
    """bjoern: one thread, libev."""
    import_module("bjoern").run(app, HOST, port)


def fastwsgi(app: Any, port: int) -> None:
    """FastWSGI: one thread, libuv."""
    peer = import_module("fastwsgi")
    peer.server.backlog = BACKLOG
    peer.run(wsgi_app=app, host=HOST, port=port, loglevel=0)


def waitress(app: Any, port: int) -> None:
    """waitress: one thread for I/O and one for the application."""
    import_module("waitress").serve(
        app, host=HOST, port=port, threads=1, backlog=BACKLOG, connection_limit=CONNECTIONS
    )


def cheroot(app: Any, port: int) -> None:
    """cheroot: one thread for the connections and one for the application."""
    server = import_module("cheroot.wsgi").Server(
        (HOST, port), app, numthreads=1, max=1, request_queue_size=BACKLOG
    )
    server.start()


def gevent(app: Any, port: int) -> None:
    """gevent.pywsgi: one thread, a greenlet for each connection."""
    server = import_module("gevent.pywsgi").WSGIServer((HOST, port), app, backlog=BACKLOG, log=None)
    server.serve_forever()


STARTERS: dict[str, Callable[[Any, int], None]] = {
    starter.__name__: starter for starter in (bjoern, fastwsgi, waitress, cheroot, gevent)
}


def main() -> None:
    """Import the application and run it on the server named."""
    name, target, port = sys.argv[1:]
    module, attribute = target.split(":")
    STARTERS[name](getattr(import_module(module), attribute), int(port))


if __name__ == "__main__":
    main()
