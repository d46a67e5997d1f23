"""Requests to an address, over TCP, TLS or a unix socket; tests/integration/wire.py is stricter."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from tests.waiting import DEADLINE


@dataclass(frozen=True)
class Reply:
    """A whole response, in http.client's words."""

    status: int
    reason: str
    version: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def read(self) -> bytes:
        return self.body

    def getheader(self, name: str, default: str | None = None) -> str | None:
        value: str | None = self.headers.get(name, default)
        return value


class _Connection(http.client.HTTPConnection):
    """An HTTP connection over a socket that is already open."""

    def __init__(self, opened: socket.socket, host: str) -> None:
        super().__init__(host)
        self.sock = opened


class Client:
    """Talks to `address`: a host and a port, or the path of a unix socket; with `tls`, over that.

    Both may be changed at any time. Times are in seconds.
    """

    def __init__(self, address: tuple[str, int] | str, tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self.tls = tls

    @property
    def port(self) -> int:
        """The TCP port (TypeError for a unix socket)."""
        if isinstance(self.address, str):
            raise TypeError(f"{self.address} has no port")
        return self.address[1]

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def connect(self, timeout: float = DEADLINE, *, handshake: bool = True) -> socket.socket:
        """A client socket connected to the server (wrapped when `tls` was given)."""
        if isinstance(self.address, str):
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(timeout)
            try:
                client.connect(self.address)
            except OSError:
                client.close()
                raise
        else:
            client = socket.create_connection(self.address, timeout)
        if self.tls and handshake:
            return self.tls.wrap_socket(client, server_hostname="localhost")
        return client

    def request(
        self,
        method: str,
        path: str = "/",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = DEADLINE,
    ) -> Reply:
        """One request on a connection of its own (`Connection: close` unless `headers` say)."""
        fields = {"Connection": "close", **(headers or {})}
        host = "localhost" if isinstance(self.address, str) else f"127.0.0.1:{self.port}"
        with self.connect(timeout) as client, contextlib.closing(_Connection(client, host)) as talk:
            talk.request(method, path, body, fields)
            response = talk.getresponse()
            return Reply(
                response.status,
                response.reason,
                response.version,
                response.headers,
                response.read(),
            )

    def get(
        self,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        timeout: float = DEADLINE,
    ) -> Reply:
        """GET `path` on a connection of its own."""
        return self.request("GET", path, None, headers, timeout)

    def raw(self, data: bytes, timeout: float = DEADLINE) -> bytes:
        """Send bytes on a new connection and return all that comes back until it is closed."""
        with self.connect(timeout) as client:
            client.sendall(data)
            return read_all(client)


def read_all(client: socket.socket) -> bytes:
    """All bytes until the peer closes (a reset counts as closing)."""
    received = bytearray()
    while True:
        try:
            piece = client.recv(65536)
        except ConnectionResetError:
            return bytes(received)
        if not piece:
            return bytes(received)
        received += piece
