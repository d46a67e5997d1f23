"""Large heads and trailers take from the room of all clients until their request is over."""

from __future__ import annotations

import contextlib
import select

import pytest

from tests.hostile.measure import memory
from tests.integration.conftest import Serve
from tests.integration.wire import Wire, wire
from tests.servers import DEADLINE
from tests.worker_classes import WORKER_CLASSES

MIB = 1 << 20

APP = """\
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % len(body)]
"""

FIELDS = b"".join(b"X-Large-%d: %s\r\n" % (number, b"x" * 8000) for number in range(88))
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
KINDS = {
    "heads": (HEAD + FIELDS + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n", b"a" * 100),
    "trailers": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\n" + b"a" * 100 + b"\r\n0\r\n" + FIELDS,
        b"\r\n",
    ),
}
"""What comes at first, of 700 kB, and the rest."""

CLIENTS = 120


@pytest.mark.alone
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("worker_class", "pure"),
    [("sync", "1"), *((name, "") for name in WORKER_CLASSES if name != "sync-siblings")],
)
def test_slow_clients_with_whole_heads_make_way(
    serve: Serve, worker_class: str, pure: str, kind: str
) -> None:
    """Who has kept the worker waiting for longest is answered with 408, as many as it needs."""
    server = serve(
        APP, *WORKER_CLASSES[worker_class], "--worker-buffer-size", "16M",
        env={"GUNICORN_PURE_PYTHON": pure} if pure else {},
    )  # fmt: skip
    begun, rest = KINDS[kind]

    def begin(client: Wire) -> None:
        client.send(begun)
        if kind == "heads":
            # It is whole before the next comes.
            assert client.head().status == 100

    with wire(server) as client:
        begin(client)
        client.send(rest)
        assert client.answer().body == b"100"
    before = memory(server)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(wire(server)) for _ in range(CLIENTS)]
        for client in clients:
            begin(client)
        # Some of the first have to go when the last come.
        gone, _, _ = select.select([client.sock for client in clients], [], [], DEADLINE)
        refused = next(client for client in clients if client.sock in gone)
        answer = refused.answer()
        assert (answer.status, answer.closes) == (408, True)
        assert server.get("/").status == 200
        grown = memory(server) - before
        print(f"\n{grown / MIB:.1f} MiB of {CLIENTS * len(begun) / MIB:.0f}")
        assert grown < 32 * MIB, "16 MiB, what is in the making, and what the C library keeps"
        answered = 0
        for client in clients:
            if client is refused:
                continue
            # Not a byte more is read of those that were refused.
            with contextlib.suppress(ConnectionError):
                client.send(rest)
                answered += client.answer().status == 200
        assert 5 <= answered < CLIENTS / 2
        # What they took has been given back: as many find room again.
        for _ in range(60):
            with wire(server) as client:
                begin(client)
                client.send(rest)
                assert client.answer().body == b"100"
