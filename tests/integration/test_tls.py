"""HTTPS, with a certificate made for the occasion."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import write_pair
from tests.integration.conftest import Serve
from tests.integration.wire import Truncated, Wire, chunked, render, wire
from tests.servers import Server, read_all
from tests.worker_classes import WORKER_CLASSES

SIZE = 20 * 1024 * 1024

APP = """\
import hashlib

SIZE = 20 * 1024 * 1024
BLOCK = bytes(range(256)) * 256

def failing():
    yield b"x" * 100
    raise RuntimeError("too late")

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/upload":
        digest = hashlib.sha256()
        for block in iter(lambda: environ["wsgi.input"].read(65536), b""):
            digest.update(block)
        start_response("200 OK", [])
        return [digest.hexdigest().encode()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/bytes":
        return [BLOCK * (SIZE // len(BLOCK))]
    if path == "/generator":
        return (BLOCK for _ in range(SIZE // len(BLOCK)))
    if path == "/file":
        return environ["wsgi.file_wrapper"](open("big.bin", "rb"))
    if path == "/fails":
        return failing()
    certificate = environ["gunicorn.socket"].getpeercert()
    return [f"{environ['wsgi.url_scheme']} {path} {bool(certificate)}".encode()]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    for name in ("server", "client", "stranger"):
        write_pair(folder, name)
    (folder / "app.py").write_text(APP)
    (folder / "big.bin").write_bytes(content())
    return folder


def content() -> bytes:
    return bytes(range(256)) * (SIZE // 256)


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "server.crt")


def tls_server(folder: Path, *options: str) -> Server:
    return Server(
        "app:app", "--certfile", "server.crt", "--keyfile", "server.key", *options,
        cwd=folder, tls=trusting(folder),
    )  # fmt: skip


@pytest.fixture(scope="module", params=[*WORKER_CLASSES, "handshake at once"])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[Server]:
    options = WORKER_CLASSES.get(request.param, ("--do-handshake-on-connect",))
    with tls_server(folder, *options, "--log-level", "debug") as server:
        yield server


def test_requests_on_one_connection(server: Server) -> None:
    with wire(server) as client:
        for number in range(20):
            answer = client.get(f"/{number}")
            assert answer.body == f"https /{number} False".encode()
    server.wait_for(rf"Listening at: https://127.0.0.1:{server.port} ")


def test_pipelined_requests_within_one_record(server: Server) -> None:
    with wire(server) as client:
        client.send(render("GET /a HTTP/1.1\nHost: a") * 3000)
        for _ in range(3000):
            assert client.answer().body == b"https /a False"


def test_uploads(server: Server) -> None:
    body = os.urandom(SIZE)
    digest = hashlib.sha256(body).hexdigest().encode()
    with wire(server) as client:
        post = "POST /upload HTTP/1.1\nHost: a\n"
        assert client.ask(f"{post}Content-Length: {SIZE}", body).body == digest
        pieces = chunked([body[: SIZE // 2], body[SIZE // 2 :]])
        assert client.ask(f"{post}Transfer-Encoding: chunked", pieces).body == digest
        client.send(render(f"{post}Content-Length: 3\nExpect: 100-continue"))
        assert client.head().status == 100
        client.send(b"abc")
        assert client.answer().body == hashlib.sha256(b"abc").hexdigest().encode()


@pytest.mark.parametrize("path", ["/bytes", "/generator", "/file"])
def test_downloads_by_a_reader_that_pauses(server: Server, path: str) -> None:
    with wire(server) as client:
        client.send(render(f"GET {path} HTTP/1.1\nHost: a"))
        if path != "/generator":  # which the worker waits for, once its buffer is full
            assert server.get("/meanwhile").status == 200
        assert client.answer().body == content()
        assert client.get().status == 200, "the connection is kept"


def unforgiving(server: Server) -> Wire:
    """A client that takes the end of the stream without close_notify for an error."""
    assert server.tls is not None
    plain = server.connect(handshake=False)
    return Wire(
        server.tls.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)
    )


@pytest.mark.parametrize("path", ["/", "/generator"])
def test_a_stream_ends_with_close_notify(server: Server, path: str) -> None:
    with unforgiving(server) as client:
        answer = client.ask(f"GET {path} HTTP/1.0")
        assert answer.status == 200
        assert answer.closes
        assert client.closed()


def test_a_refusal_ends_with_close_notify(server: Server) -> None:
    with unforgiving(server) as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.answer().status == 400
        assert client.closed()


def test_a_response_that_is_cut_does_not(server: Server) -> None:
    with unforgiving(server) as client:
        client.send(render("GET /fails HTTP/1.0"))
        with pytest.raises((ConnectionError, ssl.SSLError, Truncated)):
            client.answer()


def test_plain_http_is_told_so(server: Server) -> None:
    with server.connect(handshake=False) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    head, body = answer.split(b"\r\n\r\n", 1)
    assert b"text/plain" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"https://" in body


def test_silent_clients_do_not_stop_others(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(20):
            silent = stack.enter_context(server.connect(handshake=False))
            if number % 2:
                silent.sendall(b"\x16\x03\x01")  # the beginning of a ClientHello
        before = time.monotonic()
        for _ in range(5):
            assert server.get("/").status == 200
        assert time.monotonic() - before < 5


def test_garbage_and_early_ends_are_no_error(server: Server) -> None:
    errors = server.log().count("ERROR")
    for garbage in (b"\x00" * 100, b"\x16\x03\x01\x00\x05hello", b""):
        with server.connect(handshake=False) as client:
            client.sendall(garbage)
            # Unless the server has reset the connection by now.
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
            read_all(client)
    assert server.get("/").status == 200
    assert server.log().count("ERROR") == errors


def test_client_certificates(folder: Path) -> None:
    with tls_server(folder, "--cert-reqs", "2", "--ca-certs", "client.crt") as server:
        for name, welcome in (("client", True), ("stranger", False), ("", False)):
            server.tls = trusting(folder)
            if name:
                server.tls.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
            try:
                with wire(server) as client:
                    body = client.get().body
            except (ssl.SSLError, ConnectionError, Truncated):
                assert not welcome, name
            else:
                assert welcome, name
                assert body == b"https / True"


HOOK = """\
import ssl

def ssl_context(config, default_ssl_context_factory):
    context = default_ssl_context_factory()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0
    assert config.certfile == "server.crt"
    return context
"""


def test_the_ssl_context_hook(folder: Path) -> None:
    (folder / "hook.py").write_text(HOOK)
    with tls_server(folder, "-c", "hook.py") as server, server.connect() as client:
        assert isinstance(client, ssl.SSLSocket)
        assert client.version() == "TLSv1.2"
        client.sendall(render("GET / HTTP/1.0"))
        assert b"https" in read_all(client)


def test_ciphers(folder: Path) -> None:
    chosen = "ECDHE-ECDSA-AES256-GCM-SHA384"
    with tls_server(folder, "--ciphers", chosen) as server:
        server.tls = trusting(folder)
        server.tls.maximum_version = ssl.TLSVersion.TLSv1_2
        with server.connect() as client:
            assert isinstance(client, ssl.SSLSocket)
            cipher = client.cipher()
            assert cipher is not None
            assert cipher[0] == chosen


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--certfile missing.crt", "certfile = 'missing.crt' .*there is no file"),
        ("--certfile app.py --keyfile server.key", "certfile: 'app.py'.* cannot be used"),
        ("--certfile server.crt --keyfile client.key", "the key must be the certificate's"),
        ("--keyfile server.key", "keyfile = 'server.key' .* needs certfile"),
    ],
)
def test_a_certificate_that_cannot_be_used(
    folder: Path, serve: Serve, options: str, says: str
) -> None:
    server = serve(None, *options.split(), cwd=folder, wait=False)
    assert server.wait() == 1
    assert re.search(says, server.log()), server.log()
    server.never_says("Traceback")
    server.never_says("Booting worker")
