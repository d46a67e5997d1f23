"""All kinds of requests at once, on many kept connections: each gets its own answer, in its turn.

Calls that are quick and calls that last, bodies that come late, requests that come in one piece
with others or in two: connections move between workers and threads meanwhile.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from gunicorn import compiled
from tests.integration.wire import Wire, wire
from tests.servers import Server

APP = """\
import os
import time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    kind = path.split("/")[1]
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    answer = b"%s %d" % (path.encode(), len(body))
    if kind == "sleep":
        time.sleep(0.03)
    elif kind == "large":
        answer = answer.ljust(400_000, b".")
    elif kind == "copy":
        copy = os.fork()
        if not copy:
            raise SystemExit(0)
        os.waitpid(copy, 0)
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return blocks(answer) if kind == "blocks" else [answer]

def blocks(answer):
    yield answer[:1]
    time.sleep(0.01)
    yield answer[1:]
"""

KINDS = [*["quick"] * 12, *["sleep"] * 2, "large", "blocks", "copy"]
CLIENTS = 24
SECONDS = 3.0

PARSERS = ["fast", "python"] if compiled.available() else ["python"]


class Client(threading.Thread):
    """Asks for this and that until the time is up, and remembers what was wrong."""

    def __init__(self, server: Server, number: int, kinds: list[str]) -> None:
        super().__init__()
        self.server = server
        self.number = number
        self.kinds = kinds
        self.chance = random.Random(number)
        self.asked = 0
        self.wrong = ""

    def run(self) -> None:
        until = time.monotonic() + SECONDS
        try:
            while time.monotonic() < until:
                with wire(self.server) as client:
                    for _ in range(self.chance.randrange(1, 60)):
                        self.ask_some(client)
        except Exception as error:
            self.wrong = f"client {self.number}, after {self.asked}: {error!r}"

    def ask_some(self, client: Wire) -> None:
        """Send some requests at once, and read the answers."""
        requests = [self.request() for _ in range(self.chance.choice([1, 1, 1, 2, 3]))]
        data = b"".join(data for data, _ in requests)
        cut = self.chance.randrange(len(data)) if self.chance.random() < 0.1 else 0
        if cut:
            client.send(data[:cut])
            time.sleep(self.chance.random() * 0.02)
        client.send(data[cut:])
        for _, expected in requests:
            answer = client.answer()
            assert answer.status == 200
            assert answer.body.rstrip(b".") == expected
            self.asked += 1
        if self.chance.random() < 0.3:
            time.sleep(self.chance.random() * 0.02)

    def request(self) -> tuple[bytes, bytes]:
        """A request, and how the answer to it begins."""
        path = f"/{self.chance.choice(self.kinds)}/{self.number}/{self.chance.random()}"
        body = b"z" * self.chance.choice([0, 0, 0, 1, 5000, 100_000])
        head = f"GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body, f"{path} {len(body)}".encode()


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    "options", [("--workers", "3"), ("--workers", "2", "--threads", "2")], ids=["sync", "gthread"]
)
def test_everything_at_once(tmp_path: Path, options: tuple[str, ...], parser: str) -> None:
    # What a thread makes a copy of is nothing that could be served from.
    kinds = [kind for kind in KINDS if kind != "copy" or "--threads" not in options]
    options += ("--keep-alive", "30", "--http-parser", parser)
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}) as server:
        server.wait_workers(int(options[1]))
        clients = [Client(server, number, kinds) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join(60)
        assert not [client.wrong for client in clients if client.wrong]
        assert all(client.asked for client in clients)
        assert server.stop() == 0
        server.never_says("Error")
