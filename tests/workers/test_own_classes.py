"""A worker class as small as one can be, by every way to name it; a program with a logger."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.servers import Server, free_port

WORKER = """\
import os
import select

from gunicorn.http.errors import InvalidRequestLine
from gunicorn.workers.base import Worker

class PlainWorker(Worker):
    \"\"\"One connection after the other; of HTTP it knows the blank line.\"\"\"

    def init_process(self):
        self.log.info("init_process")
        super().init_process()

    def run(self):
        for listener in self.sockets:
            listener.setblocking(False)
        while self.alive:
            self.notify()
            if self.ppid != os.getppid():
                self.log.info("Parent changed, shutting down: %s", self)
                return
            ready, _, _ = select.select([*self.sockets, self.PIPE[0]], [], [], 1.0)
            for each in ready:
                if each in self.sockets:
                    self.accept(each)

    def accept(self, listener):
        try:
            client, addr = listener.accept()
        except BlockingIOError:
            return
        with client:
            client.settimeout(5)
            data = b""
            while b"\\r\\n\\r\\n" not in data:
                data += (received := client.recv(1024))
                if not received:
                    return
            if not data.startswith(b"GET "):
                error = InvalidRequestLine(data.split(b"\\r\\n")[0].decode())
                self.handle_error(None, client, addr, error)
                return
            self.nr += 1
            if self.nr >= self.max_requests:
                self.log.info("Autorestarting worker after current request.")
                self.alive = False
            body = f"{self.wsgi()} {os.getpid()} {self.cfg.settings['workers'].get()}".encode()
            head = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n"
            client.sendall(head % len(body) + body)

    def handle_quit(self, sig, frame):
        self.log.info("handle_quit")
        super().handle_quit(sig, frame)
"""

APP = """\
def app():
    return "first"
"""

FILES = {"app.py": APP, "plain.py": WORKER}


@pytest.mark.parametrize("name", ["plain.PlainWorker", "plain:PlainWorker"])
def test_named_by_its_path(tmp_path: Path, name: str) -> None:
    with Server("app:app", "-k", name, "-w", "2", cwd=tmp_path, files=FILES) as server:
        assert server.get().text.startswith("first ")
        server.wait_for(rf"Using worker: {name}")
        server.wait_for("init_process", count=2)
        reply = server.request("PUT")
        assert reply.status == 400
        server.wait_for("Invalid request from ip=127.0.0.1")


def test_given_itself_in_a_configuration_file(tmp_path: Path) -> None:
    config = "from plain import PlainWorker\nworker_class = PlainWorker\n"
    files = {**FILES, "gunicorn.conf.py": config}
    with Server("app:app", cwd=tmp_path, files=files) as server:
        assert server.get().text.startswith("first ")


def test_its_life(tmp_path: Path) -> None:
    args = ("-k", "plain.PlainWorker", "--max-requests", "3")
    with Server("app:app", *args, cwd=tmp_path, files=FILES) as server:
        first = server.get().text
        server.until(lambda: server.get().text != first, "a successor")
        (tmp_path / "app.py").write_text(APP.replace("first", "second"))
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload done")
        server.until(lambda: server.get().text.startswith("second"), "the new code")
        server.send_signal(signal.SIGINT)
        assert server.wait() == 0
        assert "handle_quit" in server.log()


LOGGER = """\
import sys

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

class Shop(Logger):
    def setup(self, cfg):
        super().setup(cfg)
        self.info("set up for %s", cfg.proc_name)

    def atoms(self, resp, req, environ, request_time):
        atoms = super().atoms(resp, req, environ, request_time)
        return {**atoms, "shop": environ["HTTP_SHOP"]}

class Server(BaseApplication):
    def load_config(self):
        self.cfg.set("bind", sys.argv[1])
        self.cfg.set("workers", "auto")
        self.cfg.set("logger_class", Shop)
        self.cfg.set("accesslog", "-")
        self.cfg.set("access_log_format", "%(shop)s %(s)s")
        self.cfg.set("worker_class", sys.argv[2])
        self.cfg.set("when_ready", lambda server: server.log.info("ready: %r", server.cfg.workers))

    def load(self):
        def app(environ, start_response):
            start_response("200 OK", [])
            return [b"from a program"]
        return app

if __name__ == "__main__":
    Server().run()
"""


@pytest.mark.parametrize("worker_class", ["sync", "tornado"])
def test_a_program_with_its_own_logger(tmp_path: Path, worker_class: str) -> None:
    bind = f"127.0.0.1:{free_port()}"
    host, _, port = bind.partition(":")
    with Server(
        None,
        cwd=tmp_path,
        files={"shop.py": LOGGER},
        command=(sys.executable, "shop.py", bind, worker_class),
        bind="",
        address=(host, int(port)),
    ) as server:
        assert server.get("/", {"Shop": "flowers"}).text == "from a program"
        server.wait_for("set up for gunicorn")
        server.wait_for(r"ready: \d+")
        server.wait_for("^flowers 200$")
