"""One request through an application that other threads run at the same time.

The same steps as for one thread, with one rule: the loop's lock is held while the server's code
runs, and not while the user's does. The application and the hooks are therefore called through
a gate, and a response that is made while it is sent (a generator, a file object) is sent from
outside, where it may wait for the client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn.http.request import Request
from gunicorn.http.response import ResponseRenderer
from gunicorn.workers.handler import RequestHandler
from gunicorn.wsgi.file_wrapper import FileWrapper
from gunicorn.wsgi.input import Source
from gunicorn.wsgi.response import Response, Sink

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker
    from gunicorn.workers.outside import OutsideLoop


TAKEN = 4
"""The state of a connection that an application has taken over; beside those of `connection`."""


class SocketTakenError(Exception):
    """Raised in place of an application's result: there is no response."""


class Blocks:
    """The blocks of an application's iterable, each made without the lock."""

    __slots__ = ("close", "iterator", "loop", "result")

    def __init__(self, loop: OutsideLoop, result: Iterable[bytes]) -> None:
        self.loop = loop
        self.result = result
        self.iterator: Iterator[bytes] | None = None
        if hasattr(result, "close"):
            self.close = result.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self.loop.outside():
            if self.iterator is None:
                self.iterator = iter(self.result)
            return next(self.iterator)


class ThreadedHandler(RequestHandler):
    """Serves requests with the application of `worker`, on any thread of `loop`."""

    def __init__(
        self,
        loop: OutsideLoop,
        worker: Worker,
        renderer: ResponseRenderer,
        response_class: type[Response],
        cells: memoryview[float],
    ) -> None:
        super().__init__(worker, renderer, response_class)
        self.loop = loop
        self.notify = loop.note_progress
        self.cells = cells
        self.app = self.gate(self.app)
        self.pre_request = self.pre_request and self.outside(self.pre_request)
        self.post_request = self.post_request and self.outside(self.post_request)

    def gate(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """`app`, called without the lock."""
        go_outside, come_back = self.loop.go_outside, self.loop.come_back

        def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            seat = go_outside()
            seat.began = seat.started
            try:
                result = app(environ, start_response)
                kind = type(result)
                if kind is list or kind is tuple or kind is FileWrapper:
                    return result
                return Blocks(self.loop, result)
            finally:
                come_back(seat)
                if getattr(seat.connection, "state", None) == TAKEN:
                    raise SocketTakenError

        return call

    def outside(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        """`hook`, called without the lock."""

        def call(*args: Any) -> Any:
            with self.loop.outside():
                return hook(*args)

        return call

    def handle(self, request: Request, sink: Sink, source: Source) -> Response:
        seat = self.loop.seat
        seat.connection = sink
        seat.began = monotonic()
        return super().handle(request, sink, source)

    def finish(
        self,
        result: Any,
        request: Request,
        response: Response,
        started: float,
        blocks: Iterable[bytes] | None = None,
    ) -> None:
        if type(result) is list or type(result) is tuple:
            super().finish(result, request, response, started, blocks)
            return
        with self.loop.outside():
            super().finish(result, request, response, started, blocks)

    def end(self, result: Any, request: Request, response: Response, started: float) -> None:
        # The guard, who sends on while all threads are busy, never calls the application.
        self.loop.on_a_thread(partial(super().end, result, request, response, started))

    def close(self, result: Any, request: Request) -> None:
        if hasattr(result, "close"):
            with self.loop.outside():
                super().close(result, request)

    def failed(
        self, error: BaseException, request: Request, response: Response, started: float
    ) -> None:
        if isinstance(error, SocketTakenError):
            self.part(error.__context__, request, response, started)
            return
        super().failed(error, request, response, started)

    def is_over(self, error: BaseException) -> bool:
        # Signals interrupt the main thread, which is the guard's.
        return self.loop.own.seat is self.loop.guard and super().is_over(error)

    def part(
        self, error: BaseException | None, request: Request, response: Response, started: float
    ) -> None:
        """The application is done with a socket that it had taken over."""
        if error is not None and not isinstance(error, (StopIteration, OSError)):
            self.log.error(
                "Error handling request %s %s", request.method, request.uri, exc_info=error
            )
        response.status = response.status or "101 Switching Protocols"
        response.abandon()
        self.complete(request, response, started)
