"""The corpus over sockets: what a live server of each worker class makes of every request.

Each case is sent whole, in random pieces and byte by byte, by a client that then closes its
sending side and reads until the end. So an answer that is lost to a reset is noticed, and so is
one to bytes that should not have been interpreted any more.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.corpus import Case, Outcome, load
from tests.http.fleet import Place, fleet
from tests.servers import read_all
from tests.worker_classes import WORKER_CLASSES

APP = """\
import json

def app(environ, start_response):
    try:
        body = environ["wsgi.input"].read().decode("latin-1")
    except OSError as error:
        body = f"({error})"
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([seen, body]).encode()]
"""

UNLESS_SET = {"forwarded_allow_ips": "", "proxy_allow_ips": "", "secure_scheme_headers": ""}
"""The corpus trusts nobody where a case does not say so."""

LISTS = {"forwarded_allow_ips", "proxy_allow_ips", "forwarder_headers"}

STANDS_FOR = {"10.0.0.1": "127.0.0.2", "10.9.8.7": "127.0.0.3", "10.0.0.0/8": "127.0.0.0/30"}
"""Addresses that a client on this machine can have, for those of the corpus that it cannot."""

Settings = tuple[tuple[str, str], ...]


def live_cases() -> dict[Settings, list[Case]]:
    """The cases by their settings; a mapped IPv4 address as a peer cannot be had over IPv4."""
    groups: dict[Settings, list[Case]] = {}
    for case in load():
        if not case.peer.startswith("::ffff:"):
            groups.setdefault(tuple(sorted(case.settings.items())), []).append(case)
    return groups


GROUPS = live_cases()


def translated(text: str) -> str:
    for ours, theirs in STANDS_FOR.items():
        text = text.replace(ours, theirs)
    return text


def configuration(settings: Settings) -> str:
    lines = ["keepalive = 30"]
    for name, text in {**UNLESS_SET, **dict(settings)}.items():
        items = [translated(item.strip()) for item in text.split(",") if item.strip()]
        value: Any = int(text) if text.isdigit() else text
        if name == "secure_scheme_headers":
            value = dict(item.split("=") for item in items)
        elif name in LISTS:
            value = items
        elif text in ("true", "false"):
            value = text == "true"
        lines.append(f"{name} = {value!r}")
    return "\n".join(lines)


Places = dict[Settings, Place]


@pytest.fixture(scope="module", params=WORKER_CLASSES)
def places(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Places]:
    """A server for each group of settings."""
    root = tmp_path_factory.mktemp(request.param)
    configurations = [configuration(settings) for settings in GROUPS]
    with fleet(
        root, APP, configurations, WORKER_CLASSES[request.param], unsaid=["Traceback"]
    ) as found:
        yield dict(zip(GROUPS, found, strict=True))


def exchange(place: Place, case: Case, pieces: list[bytes]) -> bytes:
    """Send `pieces`, close the sending side, and return all that comes back."""
    if case.peer == "unix":
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(place.folder / "socket"))
    else:
        client = socket.socket()
        client.bind((translated(case.peer), 0))
        client.connect(("127.0.0.1", place.port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with client:
        client.settimeout(20)
        # A server that has refused closes whenever it likes.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
        return read_all(client)


def check(case: Case, answer: bytes, port: int) -> None:
    """Assert that the responses in `answer` are those which the case expects, and no more."""
    for outcome in case.outcomes:
        kind, *words = outcome.line.split(" ")
        if kind == "incomplete":
            break
        method = words[0] if kind == "request" else "GET"
        head, body, answer = first_response(answer, method)
        status = int(head[0].split(" ")[1])
        fields = {name.lower(): value for name, _, value in (x.partition(": ") for x in head[1:])}
        if kind == "error":
            assert (status, fields["connection"]) == (int(words[1]), "close")
            break
        assert status == 200, head
        compare(outcome, fields, body, port)
    assert answer == b"", "a response that nobody expects"


def first_response(data: bytes, method: str) -> tuple[list[str], bytes, bytes]:
    """Split `data` into the head and body of a final response, and the rest."""
    text, blank, data = data.partition(b"\r\n\r\n")
    assert blank, f"no response in {text!r}"
    head = text.decode("latin-1").split("\r\n")
    if head[0].startswith("HTTP/1.1 100"):
        return first_response(data, method)
    size = next(int(x.split(" ")[1]) for x in head if x.startswith("Content-Length: "))
    if method == "HEAD":
        size = 0
    assert len(data) >= size, "a response that is cut"
    return head, data[:size], data[size:]


def compare(outcome: Outcome, fields: dict[str, str], body: bytes, port: int) -> None:
    connection = fields.get("connection", "").lower()
    _, method, uri, version, kept = outcome.line.split(" ")
    assert kept == ("close" if connection == "close" else "keep-alive")
    if version == "HTTP/1.0" and kept == "keep-alive":
        assert connection == "keep-alive"
    if method == "HEAD":
        return
    environ, content = json.loads(body)
    seen = (environ["REQUEST_METHOD"], environ["RAW_URI"], environ["SERVER_PROTOCOL"])
    assert seen == (method, uri, version)
    expected = {name: translated(value) for name, value in outcome.environ.items()}
    if expected.get("REMOTE_PORT") == "40000":
        del expected["REMOTE_PORT"]
    if expected.get("SERVER_PORT") == "8000" and ":8000" not in environ.get("HTTP_HOST", ""):
        expected["SERVER_PORT"] = str(port)
    assert {name: environ.get(name) for name in expected} == expected
    assert [name for name in outcome.absent if name in environ] == []
    if outcome.body is not None:
        assert content.encode("latin-1") == outcome.body


def cut(data: bytes, places: list[int]) -> list[bytes]:
    borders = [0, *sorted(set(places)), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(borders)]


def test_every_case(places: Places) -> None:
    sent = 0
    for settings, place in places.items():
        for case in GROUPS[settings]:
            data = case.data
            chance = random.Random(case.name)
            borders = [chance.randrange(1, len(data)) for _ in range(3)]
            single = [data[i : i + 1] for i in range(min(len(data), 600))] + [data[600:]]
            for pieces in ([data], cut(data, borders), single):
                try:
                    check(case, exchange(place, case, pieces), place.port)
                except AssertionError as error:
                    raise AssertionError(f"{case.place} {case.name}: {error}") from error
                sent += 1
    print(f"{sent} requests")
    assert sent >= 750
