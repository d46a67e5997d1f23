"""The answer to a connection that went wrong, for worker classes with a loop of their own.

Our own loops answer through the protocol; this serves third parties, so it needs nothing but the
exception and the socket.
"""

from __future__ import annotations

import http
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gunicorn.glogging import Logger

SEND_TIMEOUT = 5.0
"""Seconds that a client may take to receive the answer."""


def answer(log: Logger, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
    """Log `exc` and answer `client` with its status, or with 500 when it carries none."""
    import ssl  # noqa: PLC0415 - rarely needed, and slow to import

    if isinstance(exc, (ssl.SSLError, ConnectionError)):
        log.debug("Connection from %s failed: %s", _host(addr), exc)
        return
    status = _status(exc)
    if status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("Invalid request from ip=%s: %s", _host(addr), exc)
    else:
        log.error(
            "Error handling request %s",
            getattr(req, "uri", "(no URI read)"),
            exc_info=(type(exc), exc, exc.__traceback__),
        )
    try:
        client.settimeout(SEND_TIMEOUT)
        client.sendall(render(status))
    except OSError as error:
        log.debug("Could not send the error response to %s: %s", _host(addr), error)


def render(status: int) -> bytes:
    """Return a whole HTTP/1.1 response for `status`, after which the connection closes."""
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    body = f"{status} {phrase}\n".encode()
    head = (
        f"HTTP/1.1 {status} {phrase}\r\n"
        "Connection: close\r\n"
        "Content-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\n"
        "\r\n"
    )
    return head.encode() + body


def _status(exc: BaseException) -> int:
    status = getattr(exc, "status", None)
    if isinstance(status, int) and 400 <= status <= 599:
        return int(status)
    return int(http.HTTPStatus.INTERNAL_SERVER_ERROR)


def _host(addr: Any) -> str:
    # A unix client has no address; a TCP one is (host, port, ...).
    return str(addr[0]) if isinstance(addr, tuple) and addr else str(addr or "unix client")
