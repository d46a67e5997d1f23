"""Tornado's HTTP server with what a worker owes its operator: counting, access log, a clean end.

Tornado hands a request to the application through two small interfaces: the application is given
a connection to write to, and returns a delegate that is told of the request. Both are wrapped, so
an exchange is seen from its first line to the end of its response whatever the application does.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import monotonic
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.websocket import WebSocketHandler

from gunicorn.http.policy import TrustedPeers
from gunicorn.scoreboard import BUSY_SINCE, CONNECTIONS, REQUESTS

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker

GOING_AWAY = 1001
"""The code that a WebSocket is closed with when the server stops (RFC 6455, 7.4.1)."""

PAUSE = 0.05
"""Seconds between two looks at the requests that a stop waits for."""


class Exchange:
    """One request and its response; the connection that the application writes to."""

    def __init__(self, server: WorkerServer, server_conn: object, connection: Any) -> None:
        self._server = server
        self._connection = connection
        self.server_conn = server_conn
        self.started = monotonic()
        self.request: RequestStartLine | None = None
        self.request_fields = HTTPHeaders()
        self.status = ""
        self.status_code = 0
        self.response_fields = HTTPHeaders()
        self.sent = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def write_headers(
        self, start_line: ResponseStartLine, headers: HTTPHeaders, chunk: bytes | None = None
    ) -> Any:
        self.status_code = start_line.code
        self.status = f"{start_line.code} {start_line.reason}"
        self.response_fields = headers
        self.sent += len(chunk or b"")
        return self._connection.write_headers(start_line, headers, chunk)

    def write(self, chunk: bytes) -> Any:
        self.sent += len(chunk)
        return self._connection.write(chunk)

    def finish(self) -> None:
        self._connection.finish()
        self._server.end(self)

    def detach(self) -> Any:
        """The application takes the stream over, for a WebSocket."""
        stream = self._connection.detach()
        self._server.end(self)
        return stream


class Observed(HTTPMessageDelegate):
    """The application's delegate, with the request head noted."""

    def __init__(self, exchange: Exchange, delegate: HTTPMessageDelegate) -> None:
        self.exchange = exchange
        self.delegate = delegate
        self.data_received = delegate.data_received  # type: ignore[method-assign] # the same
        self.finish = delegate.finish  # type: ignore[method-assign] # the same

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        self.exchange.request = start_line
        self.exchange.request_fields = headers
        return self.delegate.headers_received(start_line, headers)

    def on_connection_close(self) -> None:
        self.delegate.on_connection_close()
        self.exchange._server.forget(self.exchange)


class WorkerServer(HTTPServer):
    """Serves `application` for `worker`; make it with `serving()`."""

    worker: Worker
    exchanges: dict[object, Exchange]
    """The exchange that each connection is in."""
    stopping: asyncio.Event
    """Set when the worker is no longer alive."""
    trusted: TrustedPeers
    """Who may say on whose behalf it asks."""
    logs_access: bool

    @classmethod
    def serving(cls, worker: Worker, application: Any) -> WorkerServer:
        """The server of a worker, not yet accepting."""
        cfg = worker.cfg
        server = cls(
            application,
            no_keep_alive=cfg.keepalive == 0,
            idle_connection_timeout=float(cfg.keepalive) or None,
            ssl_options=worker.tls() if worker.tls else None,
            protocol="https" if cfg.is_ssl else None,
        )
        server.worker = worker
        server.exchanges = {}
        server.stopping = asyncio.Event()
        server.trusted = TrustedPeers(cfg.forwarded_allow_ips)
        server.logs_access = bool(worker.log.access_log_enabled)
        return server

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        """A connection begins its next request."""
        exchange = Exchange(self, server_conn, request_conn)
        self.exchanges[server_conn] = exchange
        self.worker.tmp.cells[BUSY_SINCE] = exchange.started
        # Of peers that are trusted to speak for clients only.
        self.xheaders = request_conn.context.address in self.trusted
        connection: Any = exchange
        return Observed(exchange, super().start_request(server_conn, connection))

    def on_close(self, server_conn: object) -> None:
        """A connection is gone, with or without an answer to its request."""
        super().on_close(server_conn)
        exchange = self.exchanges.get(server_conn)
        if exchange is not None:
            self.forget(exchange)

    def end(self, exchange: Exchange) -> None:
        """The response is complete."""
        if self.exchanges.get(exchange.server_conn) is not exchange:
            return
        self.forget(exchange)
        worker = self.worker
        worker.nr += 1
        worker.tmp.cells[REQUESTS] = worker.nr
        if worker.nr >= worker.max_requests and worker.alive and not worker.tmp.spent:
            worker.log.info("Autorestarting worker after current request.")
            worker.ask_for_successor()
            if not worker.alive:
                self.stopping.set()
        if self.logs_access and exchange.request is not None:
            log_access(worker.log.access, exchange, exchange.request)

    def forget(self, exchange: Exchange) -> None:
        """Nothing more will come of this exchange."""
        if self.exchanges.get(exchange.server_conn) is exchange:
            del self.exchanges[exchange.server_conn]
        if not self.exchanges:
            self.worker.tmp.cells[BUSY_SINCE] = 0.0

    def beat(self) -> None:
        """Tell the arbiter of this worker."""
        self.worker.notify()
        if self.worker.tls is not None:
            # The one to use from here on.
            self.ssl_options = self.worker.tls()
        self.worker.tmp.cells[CONNECTIONS] = len(self._connections)

    async def pause(self, seconds: float) -> None:
        """Wait for the end of serving, at most so long."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except asyncio.TimeoutError:
            return

    async def drain(self, seconds: float) -> None:
        """Stop accepting, finish what was begun within `seconds`, close what is left."""
        self.stop()
        for handler in open_websockets():
            handler.close(GOING_AWAY, "the server stops")
        deadline = monotonic() + seconds
        while (self.exchanges or open_websockets()) and monotonic() < deadline:
            self.beat()
            await asyncio.sleep(PAUSE)
        await self.close_all_connections()


def open_websockets() -> list[WebSocketHandler]:
    """Every WebSocket of this process.

    Nothing keeps a list of them; the collector knows all objects, and a stop comes once.
    """
    return [
        each
        for each in gc.get_objects()
        if issubclass(type(each), WebSocketHandler) and each.ws_connection is not None
    ]


def log_access(
    access: Callable[[Any, Any, dict[str, Any], timedelta], None],
    exchange: Exchange,
    request: RequestStartLine,
) -> None:
    """Write the line of one exchange, in the words of WSGI that the format uses."""
    path, _, query = request.path.partition("?")
    fields = [(name.upper(), value) for name, value in exchange.request_fields.get_all()]
    context = exchange._connection.context
    environ = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": request.path,
        "SERVER_PROTOCOL": request.version,
        "REMOTE_ADDR": context.remote_ip,
    }
    environ |= {f"HTTP_{name.replace('-', '_')}": value for name, value in fields}
    major, _, minor = request.version.removeprefix("HTTP/").partition(".")
    req = SimpleNamespace(
        method=request.method, uri=request.path, path=path, query=query, headers=fields,
        version=(int(major), int(minor or 0)), scheme=context.protocol,
    )  # fmt: skip
    resp = SimpleNamespace(
        status=exchange.status, status_code=exchange.status_code, sent=exchange.sent,
        headers=list(exchange.response_fields.get_all()), headers_sent=True, response_length=None,
    )  # fmt: skip
    access(resp, req, environ, timedelta(seconds=monotonic() - exchange.started))
