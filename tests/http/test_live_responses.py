"""Responses cannot be split: what servers of every worker class make of an application's words.

The client tells the application what to return, and how: there are several roads from
`start_response` to the wire, in two implementations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.fleet import Place, fleet
from tests.integration.wire import Answer, Wire, render
from tests.servers import read_all, until
from tests.worker_classes import WORKER_CLASSES

APP = """\
import io
import json
import sys

def app(environ, start_response):
    how, status, fields = json.loads(environ["wsgi.input"].read())
    fields = [(bytes(name[0]) if type(name) is list else name, value) for name, value in fields]
    return WAYS[how](environ, start_response, status, fields)

def made(blocks):
    yield from blocks

def late(environ, start, status, fields):
    start(status, fields)
    yield b"bo"
    yield b"dy"

def again(environ, start, status, fields):
    start("200 OK", [("X", "first")])
    try:
        raise ValueError
    except ValueError:
        start(status, fields, sys.exc_info())
    return [b"body"]

def wrote(environ, start, status, fields):
    start(status, fields)(b"body")
    return []

def hinted(environ, start, status, fields):
    environ["wsgi.early_hints"](fields)
    start(status, [("X", "kept")])
    return [b"body"]

def started(result):
    def way(environ, start, status, fields):
        start(status, fields)
        return result(environ)
    return way

WAYS = {
    "piece": started(lambda environ: [b"body"]),
    "pieces": started(lambda environ: [b"bo", b"dy"]),
    "block": started(lambda environ: made([b"body"])),
    "blocks": started(lambda environ: made([b"bo", b"dy"])),
    "file": started(lambda environ: environ["wsgi.file_wrapper"](open("body", "rb"))),
    "memory": started(lambda environ: environ["wsgi.file_wrapper"](io.BytesIO(b"body"))),
    "late": late,
    "again": again,
    "wrote": wrote,
    "hinted": hinted,
}
"""

WAYS = ["piece", "pieces", "block", "blocks", "file", "memory", "late", "again", "wrote"]
PARSERS = ["auto", "python"]

Field = tuple[Any, Any]

BAD_STATUSES = [
    "200 OK\r\nInjected: yes", "200 OK\nInjected: yes", "200 OK\rInjected: yes", "200 OK\r\n",
    "200 OK\n", "200 O\0K", "200 \u20ac", "", "OK", "20 OK", "2000 OK", "200OK", " 200 OK", "099 X",
    "100 Continue", "103 Early Hints", 200, None,
]  # fmt: skip
BAD_FIELDS: list[Field] = [
    ("X", "a\r\nInjected: yes"), ("X", "a\nInjected: yes"), ("X", "a\rInjected: yes"),
    ("X", "a\r\n\r\nHTTP/1.1 200 OK\r\nInjected: yes\r\nContent-Length: 0\r\n\r\n"),
    ("X", "a\r\n"), ("X", "a\n"), ("X", "\na"), ("X", "a\0b"), ("X", "\u20ac"), ("X", 5),
    ("X", None), ("X\r\nInjected", "yes"), ("X\nInjected", "yes"), ("X: y\r\nInjected", "yes"),
    ("X\n", "a"), ("X\0", "a"), ("X Y", "a"), ("X:", "a"), (" X", "a"), ("", "a"), ("X\xe9", "a"),
    ([[88]], "a"), ("Content-Length", "4\r\nInjected: yes"), ("Content-Length", "4\n"),
    ("Content-Length", "+4"), ("Content-Length", "4, 4"), ("Content-Length", "0x4"),
    ("Date", "now\r\nInjected: yes"), ("Server", "a\nInjected: yes"),
    ("Set-Cookie", "a=b\r\nInjected: yes"), ("Location", "/\r\nInjected: yes"),
    ("Connection", "close\r\nInjected: yes"), ("Transfer-Encoding", "chunked\r\nInjected: yes"),
    ("Keep-Alive", "5\nInjected: yes"),
]  # fmt: skip
HOP_BY_HOP = [
    "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer",
    "Trailers", "Transfer-Encoding", "Upgrade",
]  # fmt: skip


@pytest.fixture(scope="module", params=WORKER_CLASSES)
def places(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Place]]:
    """A server by each implementation."""
    root = tmp_path_factory.mktemp(request.param)
    configurations = [f"http_parser = {parser!r}\nkeepalive = 30" for parser in PARSERS]
    with fleet(root, APP, configurations, WORKER_CLASSES[request.param]) as found:
        for place in found:
            (place.folder / "body").write_bytes(b"body")
        yield found


@pytest.fixture(params=range(len(PARSERS)), ids=PARSERS)
def place(request: pytest.FixtureRequest, places: list[Place]) -> Place:
    return places[request.param]


def request(how: str, status: Any, fields: list[Field], line: str = "POST / HTTP/1.1") -> bytes:
    body = json.dumps([how, status, fields]).encode()
    return render(f"{line}\nHost: a\nContent-Length: {len(body)}") + body


def ask(client: Wire, how: str, status: Any, fields: list[Field]) -> Answer:
    client.send(request(how, status, fields))
    return client.answer()


@pytest.mark.parametrize("how", WAYS)
def test_an_error_for_that_request_and_no_other(place: Place, how: str) -> None:
    before = place.log().count(".InvalidResponse: ")
    bad = [(status, [("X", "y")]) for status in BAD_STATUSES]
    bad += [("200 OK", [("A", "1"), field, ("B", "2")]) for field in BAD_FIELDS]
    with place.connect() as client:
        for status, fields in bad:
            answer = ask(client, how, status, fields)
            assert (answer.status, answer.closes) == (500, False), (status, fields)
            assert {name for name, _ in answer.fields} == {
                "Server", "Date", "Content-Type", "Content-Length",
            }, (status, fields)  # fmt: skip
            answer = ask(client, how, "200 OK", [("X", "fine")])
            assert (answer.status, answer.get("X"), answer.body) == (200, "fine", b"body")
    assert place.log().count(".InvalidResponse: ") - before == len(bad), place.log()


def test_early_hints_cannot_be_split_either(place: Place) -> None:
    with place.connect() as client:
        for field in BAD_FIELDS:
            # Names may be bytes here.
            if field[0] not in ("Connection", [[88]]):
                assert ask(client, "hinted", "200 OK", [field]).status == 500, field
        client.send(request("hinted", "200 OK", [("Link", "a"), ("Connection", "close")]))
        hints = client.head()
        assert (hints.status, hints.get("Link"), hints.get("Connection")) == (103, "a", None)
        answer = client.answer()
        assert (answer.status, answer.get("X"), answer.closes) == (200, "kept", False)


@pytest.mark.parametrize("how", [*WAYS, "hinted"])
def test_hop_by_hop_fields_never_reach_the_wire(place: Place, how: str) -> None:
    fields = [(name, "chunked") for name in HOP_BY_HOP]
    fields += [(name.lower(), "x") for name in HOP_BY_HOP] + [("Connection", "keep-alive, x")]
    with place.connect() as client:
        for each in [*([field] for field in fields), fields]:
            client.send(request(how, "200 OK", [("X", "kept"), *each]))
            if how == "hinted":
                hints = client.head()
                assert (hints.status, hints.get("X")) == (103, "kept")
                assert {name for name, _ in hints.fields} <= {"X", "Server", "Date"}
            answer = client.answer()
            assert (answer.status, answer.get("X"), answer.body) == (200, "kept", b"body")
            assert not answer.closes
            added = {"X", "Server", "Date", "Content-Length"}
            if how in ("block", "blocks", "memory", "late", "wrote"):
                added = {"X", "Server", "Date", "Transfer-Encoding"}
            assert {name for name, _ in answer.fields} == added
            assert len(answer.fields) == len(added)


def test_there_was_one_warning_a_process(place: Place) -> None:
    """However many responses had such a field."""
    for _ in range(4):
        with place.connect() as client:
            for how in WAYS:
                ask(client, how, "200 OK", [("Keep-Alive", "5")])
    # It is written when the response has left.
    until(lambda: "hop-by-hop" in place.log(), "a warning")
    warnings = [line for line in place.log().splitlines() if "hop-by-hop" in line]
    assert len({line.split("]")[1] for line in warnings}) == len(warnings) >= 1, warnings


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("value", ["close", "Close", "x, close"])
def test_connection_close_is_honoured(place: Place, how: str, value: str) -> None:
    with place.connect() as client:
        data = request(how, "200 OK", [("Connection", value)])
        client.send(data + data)
        answer = client.answer()
        assert (answer.status, answer.closes, answer.body) == (200, True, b"body")
        assert client.closed()


@pytest.mark.parametrize("how", WAYS)
def test_switching_protocols_passes(place: Place, how: str) -> None:
    """The body is what the other protocol begins with, its end that of the connection."""
    fields = [("Upgrade", "echo"), ("Connection", "Upgrade"), ("X", "kept"), ("TE", "x")]
    with place.connect() as client:
        client.send(
            request(how, "101 Switching Protocols", fields, "POST / HTTP/1.1\nUpgrade: echo")
        )
        answer = client.head()
        assert (answer.status, answer.reason) == (101, "Switching Protocols")
        names = ["Upgrade", "Connection", "X"]
        assert [answer.get(name) for name in names] == ["echo", "Upgrade", "kept"]
        assert {name for name, _ in answer.fields} == {*names, "Server", "Date"}
        assert client.rest() == b"body"


@pytest.mark.parametrize("how", WAYS)
def test_a_message_without_body_stays_without(place: Place, how: str) -> None:
    """What an application returns all the same would be taken for the next response."""
    with place.connect() as client:
        for method, status in (("HEAD", "200 OK"), ("POST", "204 No Content"), ("POST", "304 X")):
            client.send(request(how, status, [], f"{method} / HTTP/1.1"))
            assert client.answer(method).status == int(status[:3])
        assert ask(client, "piece", "200 OK", []).body == b"body"
        client.send(request(how, "200 OK", [("Content-Length", "2")], "POST / HTTP/1.0"))
        assert read_all(client.sock).endswith(b"Content-Length: 2\r\n\r\nbo")
