"""The worker class that serves on tornado; importing it needs the tornado package.

A Tornado application is served by tornado's own HTTP server, WebSockets and all, in an asyncio
loop. A WSGI callable is served by the event loop of the sync worker, which waits by letting the
asyncio loop run: what the callable scheduled on IOLoop.current() runs between requests.
"""

from __future__ import annotations

import asyncio
import os
import selectors
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from gunicorn.workers.base import Worker
from gunicorn.workers.interfaces import is_tornado
from gunicorn.workers.loop import EventLoop
from gunicorn.workers.poller import Poller, new_poller

try:
    from tornado.ioloop import IOLoop
except ImportError as error:
    raise ImportError(
        "worker class 'tornado' needs the tornado package."
        " Install it with: pip install 'gunicorn[tornado]'",
        name="tornado",
    ) from error

from gunicorn.workers.tornado_server import WorkerServer

BEAT = 0.5
"""Seconds between heartbeats."""

SHARE = 0.01
"""Seconds after which the asyncio loop has its turn although requests are waiting."""


class TornadoWorker(Worker):
    """Serves Tornado applications, and WSGI callables one request at a time."""

    uses_tls = True
    late_modules = ("tornado.platform.asyncio",)
    loop: WSGILoop | None = None

    def run(self) -> None:
        """Serve until `alive` is False."""
        if is_tornado(self.wsgi):
            asyncio.run(self.serve_tornado())
        else:
            self.loop = WSGILoop(self)
            # One thread: a signal in the middle of a request is not in the middle of the loop.
            self.release_listeners = self.loop.farewell.release
            self.loop.run()

    def requests_in_progress(self) -> Iterable[tuple[Any, Any]]:
        """The request that a WSGI callable works on, with its client's address."""
        return self.loop.in_progress() if self.loop is not None else ()

    async def serve_tornado(self) -> None:
        """Serve a Tornado application."""
        server = WorkerServer.serving(self, self.wsgi)
        server.add_sockets(self.sockets)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.PIPE[0], self.note_signal, server.stopping)
        while self.alive and self.is_parent_alive():
            server.beat()
            await server.pause(BEAT)
        self.alive = False
        await server.drain(float(self.cfg.graceful_timeout))
        loop.remove_reader(self.PIPE[0])

    def note_signal(self, stopping: asyncio.Event) -> None:
        """A signal has woken the loop; its handler has run by now."""
        os.read(self.PIPE[0], 4096)
        if not self.alive:
            stopping.set()


class WSGILoop(EventLoop):
    """The event loop of a sync worker that shares its process with an asyncio loop."""

    def init_poller(self) -> None:
        self.poller = SharedPoller(new_poller(), self.survives_callback)

    def survives_callback(self, error: BaseException) -> bool:
        """Whether the worker goes on after `error`, which a callback on the IOLoop raised."""
        if self.worker.ends_now or os.getpid() != self.worker.pid:
            return False
        self.log.error("Error in a callback on the IOLoop", exc_info=error)
        return True


class SharedPoller:
    """Waits for descriptors by running the asyncio loop until one of them is ready."""

    def __init__(self, inner: Poller, survives: Callable[[BaseException], bool]) -> None:
        """`survives` says whether to go on after what a callback raised to end the process."""
        self.inner = inner
        self.survives = survives
        self.register = inner.register
        self.register_shared = inner.register_shared
        self.queue_up = inner.queue_up
        self.modify = inner.modify
        self.unregister = inner.unregister
        self.fileno = inner.fileno
        self.selector = selectors.DefaultSelector()
        self.asyncio_loop = asyncio.SelectorEventLoop(self.selector)
        asyncio.set_event_loop(self.asyncio_loop)
        # Made here, it is what IOLoop.current() gives.
        self.io_loop = IOLoop.current()
        self.its_turn = 0.0
        if inner.fileno() >= 0:
            # An epoll descriptor is ready when one of those that it waits for is (epoll(7)).
            self.asyncio_loop.add_reader(inner.fileno(), self.asyncio_loop.stop)

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        events = self.inner.poll(0)
        if events and monotonic() < self.its_turn:
            return events
        self.run_asyncio(0 if events else timeout if self.inner.fileno() >= 0 else SHARE)
        return events or self.inner.poll(0)

    def run_asyncio(self, seconds: float) -> None:
        """Give the asyncio loop its turn, so long or until a descriptor is ready."""
        end = self.asyncio_loop.call_later(seconds, self.asyncio_loop.stop)
        try:
            self.asyncio_loop.run_forever()
        except BaseException as error:
            if not self.survives(error):
                raise
        finally:
            end.cancel()
        self.its_turn = monotonic() + SHARE

    def descriptors(self) -> Iterable[int]:
        own = [self.selector.fileno()] if hasattr(self.selector, "fileno") else []
        return [*self.inner.descriptors(), *own]

    def close(self) -> None:
        if self.inner.fileno() >= 0:
            self.asyncio_loop.remove_reader(self.inner.fileno())
        self.io_loop.close()
        self.inner.close()
