"""The least that could serve a WSGI application from several processes: a floor to compare with.

    python bare.py PORT MODULE:NAME WORKERS [--preload | --warm REQUESTS]

No configuration, no supervision, no logs, no limits: what is left is the interpreter, the
application and fork(2). Time and memory that this needs, a server for the application needs too.
With --preload the application is imported before the fork; with --warm the first process has
also answered so many requests by then.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from typing import Any

ALONE = 0.5
"""Seconds that the first process has for its start."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


def main() -> None:
    """Serve until killed."""
    port, name, workers, *mode = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=2048)
    print(
        f"Listening at: http://127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True
    )
    app = load(name) if mode else None
    for _ in range(int(mode[1]) if "--warm" in mode else 0):
        answer(listener, load(name))
    gc.freeze()
    for number in range(int(workers)):
        if number == 1 and not mode:
            # The first has the machine to itself: what is asked is how soon one can answer.
            time.sleep(ALONE)
        if os.fork() == 0:
            app = app or load(name)
            print("Booting worker", file=sys.stderr, flush=True)
            while True:
                answer(listener, app)
    signal.pause()


def load(name: str) -> Application:
    """The application."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def answer(listener: socket.socket, app: Application) -> None:
    """Answer one request on a connection of its own."""
    client, _ = listener.accept()
    with client:
        data = client.recv(65536)
        if not data:
            return
        line, *fields = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        method, path, protocol = line.split(" ")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": protocol,
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for field in fields:
            key, _, value = field.partition(":")
            environ["HTTP_" + key.upper().replace("-", "_")] = value.strip()
        head: list[str] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            head[:] = [f"HTTP/1.1 {status}", *(f"{key}: {value}" for key, value in headers)]

        body = app(environ, start_response)
        content = b"".join(body)
        getattr(body, "close", lambda: None)()
        client.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + content)


if __name__ == "__main__":
    main()
