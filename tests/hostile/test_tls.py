"""TLS under the same attacks."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import write_pair
from tests.hostile.measure import APP, attack, fast_requests
from tests.integration.wire import render, wire
from tests.servers import Server, read_all


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    certfile, keyfile = write_pair(folder, "server")
    context = ssl.create_default_context(cafile=certfile)
    with Server(
        "app:app", "--workers", "2", "--certfile", certfile, "--keyfile", keyfile,
        "--header-timeout", "3", "--log-level", "debug", "--keep-alive", "30",
        cwd=folder, files={"app.py": APP}, tls=context,
    ) as server:  # fmt: skip
        server.wait_workers(2)
        yield server


@pytest.mark.alone
def test_silent_and_slow_clients_on_the_tls_port(server: Server) -> None:
    """200 that never shake hands, and 200 that speak something else, slowly."""
    alone = fast_requests(server, 100)
    with attack(server, "silent=200", "head=200") as attackers:
        among = fast_requests(server, 100)
        # Handshakes have the time of a request head.
        time.sleep(4)
        fates = attackers.end()
    print(f"\nalone: {alone}\namong: {among}\nfates: {fates}")
    assert among.failures == 0
    assert among.median < max(3 * alone.median, 0.02)
    assert fates == {"Silent closed none": 200, "SlowHead closed 400": 200}


def test_the_end_of_a_stream_without_close_notify(server: Server) -> None:
    """A ragged EOF is the end of a client, not an error: between requests and within one."""
    errors = server.log().count("[ERROR]")
    for data in (
        b"",
        b"GET / HTTP/1.1\r\nHo",
        render("POST / HTTP/1.1\nHost: a\nContent-Length: 9"),
    ):
        with server.connect() as client:
            client.sendall(data)
            plain = socket.socket(fileno=client.detach())
            plain.shutdown(socket.SHUT_WR)
            plain.settimeout(20)
            with contextlib.closing(plain):
                read_all(plain)
    assert server.get("/").status == 200
    assert server.log().count("[ERROR]") == errors


def test_a_client_cannot_renegotiate(server: Server) -> None:
    """TLS 1.2 lets a client ask for a new handshake, which costs the server more than itself."""
    command = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{server.port}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        for line in client.stdout:
            if "Extended master secret" in line:
                break
        client.stdin.write("R\n")
        client.stdin.flush()
        said = client.communicate(timeout=20)[0]
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said or "error" in said
    assert server.get("/").status == 200


def test_alpn(server: Server) -> None:
    assert server.tls is not None
    context = ssl.create_default_context(cafile=Path(server.cwd, "server.crt"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with server.connect(handshake=False) as plain:
        client = context.wrap_socket(plain, server_hostname="localhost")
        assert client.selected_alpn_protocol() == "http/1.1"


def test_resets_in_every_state(server: Server) -> None:
    with attack(server, "storm=300") as attackers:
        assert fast_requests(server, 50).failures == 0
        assert attackers.end() == {"connected": 300}
    with wire(server) as client:
        assert client.get().status == 200
