"""What a proxy in front says of its clients, and who is believed."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from tests.integration.conftest import Serve
from tests.integration.wire import one, render, wire

APP = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = ("wsgi.url_scheme", "REMOTE_ADDR", "SCRIPT_NAME", "PATH_INFO", "PROXY_PROTOCOL")
    return [" ".join(repr(environ.get(name)) for name in names).encode()]
"""


@pytest.mark.parametrize(
    ("options", "field", "scheme"),
    [
        ("", "X-Forwarded-Proto: https", "https"),
        ("", "X-Forwarded-Protocol: ssl", "https"),
        ("", "X-Forwarded-Ssl: on", "https"),
        ("", "X-Forwarded-Proto: http", "http"),
        ("--forwarded-allow-ips 10.0.0.0/8", "X-Forwarded-Proto: https", "http"),
        ("--forwarded-allow-ips 10.0.0.0/8,127.0.0.0/8", "X-Forwarded-Proto: https", "https"),
        ("--forwarded-allow-ips *", "X-Forwarded-Proto: https", "https"),
    ],
)
def test_the_scheme_that_a_proxy_tells(serve: Serve, options: str, field: str, scheme: str) -> None:
    server = serve(APP, *options.split())
    answer = one(server, f"GET / HTTP/1.1\nHost: a\n{field}")
    assert answer.body.decode().startswith(f"'{scheme}' '127.0.0.1'")


def test_fields_that_contradict_one_another(serve: Serve) -> None:
    server = serve(APP)
    answer = one(server, "GET / HTTP/1.1\nHost: a\nX-Forwarded-Proto: https\nX-Forwarded-Ssl: off")
    assert answer.status == 400


def v2(source: str, target: str) -> bytes:
    """A PROXY header of version 2 for TCP, ports 1111 and 2222, with an unknown extension."""
    addresses = [ipaddress.ip_address(source), ipaddress.ip_address(target)]
    family = 0x11 if addresses[0].version == 4 else 0x21
    block = b"".join(address.packed for address in addresses) + struct.pack("!HH", 1111, 2222)
    block += b"\xe0\x00\x03abc"
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, family, len(block)) + block


@pytest.mark.parametrize(
    ("mode", "header", "client"),
    [
        ("v1", b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n", "192.0.2.1"),
        ("v1", b"PROXY TCP6 2001:db8::1 2001:db8::2 1111 2222\r\n", "2001:db8::1"),
        ("auto", b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n", "192.0.2.1"),
        ("auto", v2("192.0.2.1", "192.0.2.2"), "192.0.2.1"),
        ("v2", v2("192.0.2.1", "192.0.2.2"), "192.0.2.1"),
        ("v2", v2("2001:db8::1", "2001:db8::2"), "2001:db8::1"),
    ],
)
def test_the_proxy_protocol(serve: Serve, mode: str, header: bytes, client: str) -> None:
    server = serve(APP, "--proxy-protocol", mode, "--access-logfile", "-")
    with wire(server) as wired:
        for byte in header[:20]:
            wired.send(bytes([byte]))  # a header may come in any pieces
        wired.send(header[20:] + render("GET /a HTTP/1.1\nHost: a"))
        for _ in range(2):
            assert wired.answer().body.decode().split()[1] == repr(client)
            wired.send(render("GET /b HTTP/1.1\nHost: a"))
    server.wait_for(rf'^{client} - - \[.*\] "GET /a HTTP/1.1" 200')


def test_the_proxy_protocol_from_a_stranger(serve: Serve) -> None:
    server = serve(APP, "--proxy-protocol", "v1", "--proxy-allow-from", "10.0.0.1")
    with wire(server) as wired:
        wired.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + render("GET / HTTP/1.1\nHost: a"))
        assert wired.answer().status == 403
        assert wired.closed()


def test_a_malformed_proxy_header(serve: Serve) -> None:
    server = serve(APP, "--proxy-protocol", "v1")
    with wire(server) as wired:
        wired.send(b"PROXY TCP4 nonsense\r\n" + render("GET / HTTP/1.1\nHost: a"))
        assert wired.answer().status == 400
        assert wired.closed()


@pytest.mark.parametrize(
    ("options", "env", "path", "expected"),
    [
        ("--root-path /app", {}, "/app/x", "'/app' '/x'"),
        ("", {"SCRIPT_NAME": "/app"}, "/app/x", "'/app' '/x'"),
        ("--root-path /app", {}, "/app", "'/app' ''"),
    ],
)
def test_a_mount_point(
    serve: Serve, options: str, env: dict[str, str], path: str, expected: str
) -> None:
    server = serve(APP, *options.split(), env=env)
    assert expected in server.get(path).text
