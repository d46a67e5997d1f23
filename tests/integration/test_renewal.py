"""Certificates that change while the server runs, on every worker class."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.certificates import write_pair
from tests.integration.conftest import Serve
from tests.integration.wire import wire
from tests.servers import Server, read_all
from tests.worker_classes import WORKER_CLASSES

WSGI = """\
import os

def app(environ, start_response):
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

ASGI = """\
import os

async def app(scope, receive, send):
    if scope["type"] == "http":
        body = str(os.getpid()).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
"""

TORNADO = """\
import os

from tornado import web

class Main(web.RequestHandler):
    def get(self):
        self.write(str(os.getpid()))

app = web.Application([("/", Main)])
"""

AIOHTTP = """\
import os

from aiohttp import web

async def index(request):
    return web.Response(text=str(os.getpid()))

app = web.Application()
app.add_routes([web.get("/", index)])
"""

SERVERS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name: (WSGI, options) for name, options in WORKER_CLASSES.items()},
    "preload": (WSGI, ("--preload",)),
    "tornado-application": (TORNADO, ("-k", "tornado")),
    "gevent-websocket": (WSGI, ("-k", "geventwebsocket.gunicorn.workers.GeventWebSocketWorker")),
    "uvicorn": (ASGI, ("-k", "uvicorn_worker.UvicornWorker")),
    "aiohttp": (AIOHTTP, ("-k", "aiohttp.GunicornWebWorker")),
}
"""Applications, which tell their process, and options.

Each of these takes its TLS context in a way of its own.
"""

EARLY = """\
import asyncio
import difflib

try:
    import app
    import tornado.platform.asyncio
    import uvicorn.lifespan.on
    import uvicorn.logging
    import uvicorn.loops.asyncio
    import uvicorn.protocols.http.auto
    import uvicorn.protocols.websockets.auto
except ImportError as error:
    raise RuntimeError from error
"""
"""Imports what is imported late otherwise: Python may be in a folder that is root's alone."""


class Files:
    """`tls/` in `folder`, with server.crt and server.key, and what may take their places."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder / "tls"
        for name in ("first", "second", "third"):
            (folder / name).mkdir()
            write_pair(folder / name, "server")
        self.place.symlink_to("first")

    @property
    def args(self) -> tuple[str, ...]:
        return ("--certfile", "tls/server.crt", "--keyfile", "tls/server.key")

    def serial(self, name: str) -> int:
        """The serial number of a certificate."""
        data = (self.folder / name / "server.crt").read_bytes()
        return x509.load_pem_x509_certificate(data).serial_number

    def swap(self, name: str) -> None:
        """Have another folder in the place, as Kubernetes does with secrets."""
        new = self.folder / "new"
        new.symlink_to(name)
        new.rename(self.place)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    yield Files(tmp_path)


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, serve: Serve, files: Files) -> Server:
    source, options = SERVERS[request.param]
    return serve(source, *files.args, *options, "--keep-alive", "60", tls=any_certificate())


def any_certificate() -> ssl.SSLContext:
    """A client's context that takes what it gets."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def serial_of(client: socket.socket) -> int:
    """The serial number of the certificate of the other end."""
    assert isinstance(client, ssl.SSLSocket)
    data = client.getpeercert(binary_form=True)
    assert data is not None
    return x509.load_der_x509_certificate(data).serial_number


def met(server: Server, name: str = "localhost") -> tuple[int, int]:
    """Which process answers a new connection, and the serial number of its certificate."""
    assert isinstance(server.address, tuple)
    with (
        socket.create_connection(server.address, 10) as plain,
        any_certificate().wrap_socket(plain, server_hostname=name) as client,
    ):
        serial = serial_of(client)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 200 OK"), answer
        return int(answer.rpartition(b"\r\n\r\n")[2]), serial


def presented(server: Server) -> int:
    return met(server)[1]


def comes_to_present(server: Server, serial: int, name: str = "localhost") -> None:
    """Wait until every worker meets new connections with that certificate."""
    renewed = set()

    def all_do() -> bool:
        worker, presents = met(server, name)
        if presents == serial:
            renewed.add(worker)
        return renewed >= set(server.workers()) - templates(server)

    server.until(all_do, f"certificate {serial} of every worker")


def templates(server: Server) -> set[int]:
    """The children of the arbiter that serve nobody."""
    return {
        each for each in server.workers()
        if "preload" in " ".join(server.command) and each == min(server.workers())
    }  # fmt: skip


def test_a_renewed_certificate_is_used_by_the_next_connections(
    server: Server, files: Files
) -> None:
    assert presented(server) == files.serial("first")
    workers = server.workers()
    with wire(server) as kept:
        assert kept.get().status == 200
        files.swap("second")
        comes_to_present(server, files.serial("second"))
        assert kept.get().status == 200, "connections from before go on"
        # Written in place, as many scripts do.
        for name in ("server.crt", "server.key"):
            shutil.copy(files.folder / "third" / name, files.place / name)
        comes_to_present(server, files.serial("third"))
    assert server.workers() == workers
    server.never_says("ERROR")


def test_a_broken_pair_is_logged_once_and_the_old_one_goes_on(server: Server, files: Files) -> None:
    first = files.serial("first")
    assert presented(server) == first
    shutil.copy(files.folder / "second/server.crt", files.place / "server.crt")
    server.wait_for("The certificate has changed\\. .*the key must be")
    assert presented(server) == first
    for worker in server.workers():
        os.kill(worker, signal.SIGKILL)
    server.wait_for("was sent SIGKILL")
    assert server.until(lambda: answers(server)), "a worker boots with what goes on"
    assert presented(server) == first
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload called off: certfile")
    assert presented(server) == first
    (files.place / "server.crt").write_text("half of a certif")
    server.wait_for("The certificate has changed\\. certfile", count=2)
    (files.place / "server.key").unlink()
    server.wait_for("The certificate has changed\\. .*server.key' cannot be read: No such file")
    assert presented(server) == first
    files.swap("third")
    comes_to_present(server, files.serial("third"))
    server.says_in_all(r"The certificate has changed\.", 3)  # each state once


def answers(server: Server) -> bool:
    try:
        return server.get("/").status == 200
    except OSError:
        return False


def test_authorities_of_clients_are_renewed(serve: Serve, files: Files, tmp_path: Path) -> None:
    for name in ("old", "new"):
        write_pair(tmp_path, name)
    shutil.copy(tmp_path / "old.crt", tmp_path / "trusted.crt")
    options = ("--cert-reqs", "2", "--ca-certs", "trusted.crt")
    server = serve(WSGI, *files.args, *options, wait=False, tls=any_certificate())
    server.wait_for("Booting worker")

    def is_welcome(name: str) -> bool:
        server.tls = any_certificate()
        server.tls.load_cert_chain(tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
        return answers(server)

    server.until(lambda: is_welcome("old"), "an answer")
    assert not is_welcome("new")
    shutil.copy(tmp_path / "new.crt", tmp_path / "trusted.crt")
    server.until(lambda: is_welcome("new"), "the new authority")
    assert not is_welcome("old")


HOOK = """\
import ssl

def ssl_context(config, default_ssl_context_factory):
    context = {context}
    others = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    others.load_cert_chain("others/server.crt", "others/server.key")

    def choose(sock, name, context):
        if name == "others":
            sock.context = others

    context.sni_callback = choose
    return context
"""
OWN = """\
ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("tls/server.crt", "tls/server.key")
"""


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
@pytest.mark.parametrize(
    "context", ["default_ssl_context_factory()", OWN], ids=["settings", "of-its-own"]
)
def test_files_that_the_ssl_context_hook_loads_are_looked_at_too(
    serve: Serve, files: Files, worker_class: str, context: str
) -> None:
    others = files.folder / "others"
    others.symlink_to("first")
    hook = {"gunicorn.conf.py": HOOK.format(context=context)}
    settings = files.args if context != OWN else ()
    server = serve(
        WSGI, *settings, *WORKER_CLASSES[worker_class], files=hook, tls=any_certificate()
    )

    assert met(server, "others")[1] == files.serial("first")
    others.unlink()
    others.symlink_to("second")
    comes_to_present(server, files.serial("second"), "others")
    files.swap("third")
    comes_to_present(server, files.serial("third"))
    others.unlink()
    server.until(
        lambda: answers(server) and "TLS cannot use the files that have changed" in server.log()
    )
    assert presented(server) == files.serial("third")


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_the_ssl_context_hook_alone_gives_tls(
    serve: Serve, files: Files, worker_class: str
) -> None:
    files.folder.joinpath("others").symlink_to("first")
    hook = {"gunicorn.conf.py": HOOK.format(context=OWN)}
    server = serve(WSGI, *WORKER_CLASSES[worker_class], files=hook, tls=any_certificate())
    assert presented(server) == files.serial("first")
    server.wait_for("Listening at: https://")


@pytest.mark.parametrize(
    "worker_class", ["uvicorn_worker.UvicornWorker", "aiohttp.GunicornWebWorker"]
)
def test_a_class_that_does_not_take_its_context_refuses_the_hook_alone(
    serve: Serve, files: Files, worker_class: str
) -> None:
    hook = {"gunicorn.conf.py": HOOK.format(context=OWN)}
    server = serve(WSGI, "-k", worker_class, files=hook, wait=False)
    assert server.wait() == 1
    assert "ssl_context" in server.log()
    assert "would serve without TLS" in server.log()


def test_a_hook_that_returns_no_context_is_told_so(serve: Serve, files: Files) -> None:
    hook = {"gunicorn.conf.py": "def ssl_context(config, default_ssl_context_factory): pass\n"}
    server = serve(WSGI, *files.args, files=hook, wait=False)
    assert server.wait() == 3
    assert "the hook returned None. It must return an ssl.SSLContext" in server.log()


def test_what_workers_hold_of_the_key_cannot_be_written(serve: Serve, files: Files) -> None:
    server = serve(WSGI, *files.args, tls=any_certificate())
    (worker,) = server.wait_workers(1)
    assert presented(server) == files.serial("first")
    flags = [
        int(line.split()[1], 8)
        for descriptor in Path(f"/proc/{worker}/fd").iterdir()
        if "gunicorn-certificates" in os.readlink(descriptor)
        for line in Path(f"/proc/{worker}/fdinfo/{descriptor.name}").read_text().splitlines()
        if line.startswith("flags:")
    ]
    assert [each & os.O_ACCMODE for each in flags] == [os.O_RDONLY]


@pytest.mark.parametrize("name", [*WORKER_CLASSES, "uvicorn"])
def test_a_key_that_is_roots_alone(serve: Serve, files: Files, tmp_path: Path, name: str) -> None:
    source, options = SERVERS[name]
    options = (*files.args, *options, "--user", "nobody", "--group", "daemon")
    for secret in ("first", "second"):
        (tmp_path / secret / "server.key").chmod(0o600)
        (tmp_path / secret).chmod(0o700)
    early = {"gunicorn.conf.py": EARLY}
    server = serve(source, *options, files=early, tls=any_certificate())
    assert presented(server) == files.serial("first")
    files.swap("second")
    comes_to_present(server, files.serial("second"))
    for worker in server.workers():
        os.kill(worker, signal.SIGKILL)
    server.wait_for("was sent SIGKILL")
    server.until(lambda: answers(server), "a new worker")
    assert presented(server) == files.serial("second")
    server.never_says("Permission denied")
