"""Which implementation of the hot path serves: the compiled one or its Python twin.

The setting `http_parser` chooses: `fast` wants the compiled modules, `python` does without them,
`auto` takes them where they are installed. Everything that comes in two forms is made here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from gunicorn import compiled
from gunicorn.http.head import HeadParser
from gunicorn.http.policy import Policy
from gunicorn.http.response import ResponseRenderer
from gunicorn.workers.connection import ConnectionLife
from gunicorn.workers.exchange import Steady, SteadyConnection
from gunicorn.wsgi.response import Response, ResponseLife

if compiled.available():
    from gunicorn.http import _head, _response
    from gunicorn.workers import _exchange

if TYPE_CHECKING:
    from gunicorn.workers.loop import EventLoop


Dispatch = Callable[[list[tuple[int, int]], dict[int, Any]], None]


class Implementation(Protocol):
    """The parts of the hot path."""

    name: str
    response_class: type[Any]

    def parser(self, policy: Policy) -> HeadParser: ...
    def renderer(self) -> ResponseRenderer: ...

    dispatch: Dispatch
    """Lets each channel go on that is ready, and is still there when its turn comes."""

    def serve(self, loop: EventLoop) -> None:
        """`loop` is made: get ready for its connections, and to `dispatch`."""

    def tick(self, next_tick: float) -> None:
        """The loop wants to be called again at `next_tick`, a time of its clock."""

    def send_held(self) -> None:
        """Send the responses that were to leave with the next one."""

    def surrender(self) -> None:
        """In a copy of the worker: end the process when the application returns."""

    def connection(
        self, loop: EventLoop, sock: socket.socket, peer: Any, server: Any
    ) -> ConnectionLife: ...


class PythonImplementation:
    """The twin in Python."""

    name = "python"
    dispatch: Dispatch
    response_class = Response
    parser = HeadParser
    renderer = ResponseRenderer

    def serve(self, loop: EventLoop) -> None:
        self.steady = Steady(loop, loop.handler)
        self.dispatch = self.steady.dispatch

    def tick(self, next_tick: float) -> None:
        self.steady.next_tick = next_tick

    def send_held(self) -> None:
        self.steady.release()

    def surrender(self) -> None:
        self.steady.copied = True

    def connection(
        self, loop: EventLoop, sock: socket.socket, peer: Any, server: Any
    ) -> ConnectionLife:
        return SteadyConnection(loop, sock, peer, server, self.steady)


if compiled.available():

    class FastResponse(_exchange.Response, ResponseLife):
        """One response, its attributes in C."""

        __slots__ = ()

    class FastConnection(_exchange.Exchange, ConnectionLife):
        """One client, its attributes in C and its steady state compiled."""

        __slots__ = ("off_since", "outbox", "recv", "response", "send_bytes")

        def close(self) -> None:
            self.send_held()
            super().close()
            self.variables: dict[str, Any] = {}

    class FastImplementation:
        """The compiled one."""

        name = "fast"
        dispatch: Dispatch
        response_class = FastResponse
        parser = _head.HeadParser
        renderer = _response.ResponseRenderer

        def serve(self, loop: EventLoop) -> None:
            self.steady = _exchange.Steady(loop, loop.handler, FastResponse)
            self.dispatch = self.steady.dispatch

        def tick(self, next_tick: float) -> None:
            self.steady.next_tick = next_tick

        def send_held(self) -> None:
            # As at the end of any round, of which this is an empty one.
            self.steady.dispatch([], {})

        def surrender(self) -> None:
            self.steady.copied = True

        def connection(
            self, loop: EventLoop, sock: socket.socket, peer: Any, server: Any
        ) -> ConnectionLife:
            connection = FastConnection()
            connection.open(loop, sock, peer, server)
            connection.keep_at_hand(self.steady)
            return connection


def choose(http_parser: str) -> Implementation:
    """The implementation that the setting `http_parser` asks for."""
    if compiled.parser_in_use(http_parser) == "fast":
        return FastImplementation()
    return PythonImplementation()
