"""A server with a worker class of its own, so that these tests are about the arbiter alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import HELLO, Server, started_in_test

TINY = '''\
"""The least that a third party's worker class does: accept, answer, show life."""

import os
import select
import time

from gunicorn.workers.base import Worker


class Tiny(Worker):
    def run(self):
        while self.alive and self.is_parent_alive():
            self.notify()
            ready, _, _ = select.select([*self.sockets, self.PIPE[0]], [], [], 0.3)
            for source in ready:
                if source == self.PIPE[0]:
                    os.read(source, 4096)
                else:
                    self.accept(source)

    def accept(self, listener):
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            return
        with client:
            client.settimeout(10)
            head = client.recv(65536).decode()
            if not head:
                return
            environ = {"PATH_INFO": head.split()[1], "gunicorn.worker": self}
            body = b"".join(self.wsgi(environ, lambda status, fields: None))
            head = "HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n"
            head += "X-Worker: %d\\r\\n\\r\\n"
            client.sendall(head.encode() % (len(body), self.pid) + body)


class Untold(Tiny):
    """A worker class that replaces init_process and never says that it has booted."""

    def init_process(self):
        self.pid = os.getpid()
        self.init_wakeup()
        self.init_signals()
        self.load_wsgi()
        self.run()
'''

Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server in tmp_path with app.py (HELLO unless given) and two Tiny workers.

    Whatever a test leaves running is stopped by TERM, and must go.
    """
    with started_in_test() as servers:

        def start(*args: str, app: str | None = "app:app", **options: Any) -> Server:
            files = {"tiny.py": TINY, "app.py": HELLO, **options.pop("files", {})}
            for name in [*files]:
                if name != "tiny.py" and (tmp_path / name).exists():
                    del files[name]
            server = Server(
                app, "-k", "tiny.Tiny", "-w", "2", *args, cwd=tmp_path, files=files, **options
            )
            servers.append(server)
            return server

        yield start
