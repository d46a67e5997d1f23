"""Worker classes that bring a request handler of gevent's own WSGI server.

Libraries that spoke WebSocket on gevent before there was `environ["gunicorn.socket"]` subclass the
gevent worker and name a `gevent.pywsgi.WSGIHandler` of theirs in `wsgi_handler`. Such a handler is
at home in `gevent.pywsgi.WSGIServer`, so that serves in place of ours. HTTP is gevent's then: its
rules, its limits, its lines in the access log. The life of the worker is as ever.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

import gevent
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer

from gunicorn import SERVER_SOFTWARE
from gunicorn.scoreboard import CONNECTIONS, REQUESTS
from gunicorn.workers.channels import WakeupChannel
from gunicorn.workers.poller import READ
from gunicorn.workers.takeover import is_websocket

if TYPE_CHECKING:
    from gunicorn.workers.ggevent import GeventWorker

BEAT = 0.5
"""Seconds between heartbeats."""

PAUSE = 0.05
"""Seconds between two looks at the requests that a stop waits for."""

LAST_LOOK = 1.0
"""Seconds that requests get for their clean-up when they are ended by force."""


HOOKS = ("pre_request", "post_request")
"""What is not called, as requests are gevent's."""


class HandlerServers:
    """A server of gevent's for each listener of `worker`."""

    def __init__(self, worker: GeventWorker, handler: type[Any]) -> None:
        self.worker = worker
        self.cells = worker.tmp.cells
        self.calls: dict[int, dict[str, Any]] = {}
        """The environ of each call of the application that goes on."""
        self.pool = Pool(worker.cfg.worker_connections)
        self.servers = [self.server(each, adapted(handler)) for each in worker.sockets]
        hooks = worker.cfg.settings
        if any(hooks[name].value is not hooks[name].default for name in HOOKS):
            worker.log.warning(
                "%s has a request handler of its own (%s): pre_request and post_request are not"
                " called.",
                type(worker).__name__, handler.__name__,
            )  # fmt: skip

    def server(self, listener: socket.socket, handler: type[Any]) -> WSGIServer:
        """The server of one listener, which does not accept yet."""
        worker = self.worker
        tls = {"ssl_context": worker.tls()} if worker.tls else {}
        server = WSGIServer(
            socket.socket(
                listener.family, listener.type, listener.proto, os.dup(listener.fileno())
            ),
            self.call,
            spawn=self.pool,
            log=worker.log.access_log if worker.log.access_log_enabled else None,
            error_log=worker.log.error_log,
            handler_class=handler,
            environ={
                "SERVER_SOFTWARE": SERVER_SOFTWARE,
                "wsgi.multithread": True,
                "wsgi.multiprocess": worker.cfg.workers > 1,
            },
            **tls,
        )
        if (current := worker.tls) is not None:
            # In place of the method of one context.
            server.wrap_socket = lambda *args, **options: current().wrap_socket(*args, **options)
        return server

    def call(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The application, its calls counted until the response is made."""
        worker = self.worker
        assert worker.wsgi is not None
        self.calls[id(environ)] = environ
        try:
            result = worker.wsgi(environ, start_response)
        except BaseException:
            self.end_call(environ)
            raise
        if type(result) in (list, tuple):
            self.end_call(environ)
            return result
        return self.blocks(result, environ)

    def blocks(self, result: Iterable[bytes], environ: dict[str, Any]) -> Iterator[bytes]:
        """What the application returned, to its end."""
        try:
            yield from result
        finally:
            close = getattr(result, "close", None)
            try:
                if close is not None:
                    close()
            finally:
                self.end_call(environ)

    def end_call(self, environ: dict[str, Any]) -> None:
        """A request is over."""
        worker = self.worker
        del self.calls[id(environ)]
        worker.nr += 1
        self.cells[REQUESTS] = worker.nr
        if worker.nr >= worker.max_requests and worker.alive and not worker.tmp.spent:
            worker.log.info("Autorestarting worker after current request.")
            worker.ask_for_successor()

    # The life of the worker

    def run(self) -> None:
        """Serve until the worker is told to stop, then finish what was begun."""
        worker = self.worker
        for server in self.servers:
            server.start()
        wakeup = WakeupChannel(worker.PIPE[0])
        main = worker.hub.spot(wakeup.fd)
        while worker.alive and worker.is_parent_alive():
            worker.notify()
            self.cells[CONNECTIONS] = self.pool.size - self.pool.free_count()
            if main.wait_for(READ, BEAT):
                wakeup.on_event(READ)
            worker.handle_postponed()
        worker.alive = False
        self.drain()
        main.close()

    def drain(self) -> None:
        """Stop accepting; finish calls that have begun, within `graceful_timeout`."""
        worker = self.worker
        for server in self.servers:
            server.close()
        for environ in list(self.calls.values()):
            if is_websocket(environ):
                end_stream(environ["gunicorn.socket"])
        deadline = monotonic() + worker.cfg.graceful_timeout
        while self.calls and monotonic() < deadline:
            worker.notify()
            worker.handle_postponed()
            gevent.sleep(PAUSE)
        self.pool.kill(timeout=LAST_LOOK)


def adapted(handler: type[Any]) -> type[Any]:
    """`handler`, with what applications of ours find in the environ."""

    class Adapted(handler):  # type: ignore[misc] # whatever it is
        def get_environ(self) -> dict[str, Any]:
            environ: dict[str, Any] = super().get_environ()
            environ["gunicorn.socket"] = self.socket
            environ["RAW_URI"] = self.path
            return environ

    Adapted.__name__ = handler.__name__
    return Adapted


def end_stream(sock: socket.socket) -> None:
    """Let the application find the end of what its client sends."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as own:
        # Of the descriptor, as an SSL socket's own method would also undo its TLS.
        own.shutdown(socket.SHUT_RD)
