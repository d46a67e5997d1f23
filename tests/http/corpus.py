"""The corpus of raw requests: how its files are read, and how a case is run.

`load()` gives the cases; `run()` feeds one to an `HTTPConnection` in the pieces that it is given
and says what came of it in the same terms as the file, so that the two can be compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gunicorn.http.connection import HTTPConnection
from gunicorn.http.errors import HTTPError
from gunicorn.http.head import HeadParser
from gunicorn.http.policy import Policy, TrustedPeers
from gunicorn.http.request import Request
from gunicorn.wsgi.environ import connection_variables, process_variables

FOLDER = Path(__file__).parent / "corpus"
ESCAPE = re.compile(r"\\(?:([rnt0\\])|x([0-9a-fA-F]{2})|\{([0-9]+)\*)|([^\\])", re.DOTALL)
SIMPLE = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


@dataclass
class Outcome:
    """One line of what is expected: `request`, `error` or `incomplete`, and what else is said."""

    line: str
    environ: dict[str, str] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    body: bytes | None = None
    headers: str | None = None
    trailers: str | None = None


@dataclass
class Case:
    name: str
    place: str
    settings: dict[str, str]
    peer: str
    data: bytes
    outcomes: list[Outcome]


# Reading the files


def unescape(text: str) -> str:
    """`text` with its escapes replaced; a character stands for a byte."""
    result, end = _unescape(text, 0, nested=False)
    assert end == len(text), f"closing brace without an opening one: {text!r}"
    return result


def _unescape(text: str, position: int, nested: bool) -> tuple[str, int]:
    pieces: list[str] = []
    while position < len(text):
        if nested and text[position] == "}":
            return "".join(pieces), position + 1
        escape = ESCAPE.match(text, position)
        assert escape is not None, f"unknown escape: {text[position : position + 10]!r}"
        position = escape.end()
        simple, code, count, plain = escape.groups()
        if count is not None:
            inner, position = _unescape(text, position, nested=True)
            pieces.append(inner * int(count))
        elif code is not None:
            pieces.append(chr(int(code, 16)))
        else:
            pieces.append(plain if plain is not None else SIMPLE[simple])
    assert not nested, f"no closing brace: {text!r}"
    return "".join(pieces), position


def load() -> list[Case]:
    """Every case of every file."""
    return [case for path in sorted(FOLDER.glob("*.http")) for case in read_file(path)]


def read_file(path: Path) -> list[Case]:
    cases: list[Case] = []
    part = "between"
    raw: list[str] = []
    for number, line in enumerate(path.read_text("ascii").split("\n"), 1):
        place = f"{path.name}:{number}"
        if part != "data" and line.startswith("== "):
            cases.append(Case(line[3:], place, {}, "127.0.0.1", b"", []))
            part = "settings"
        elif part == "settings" and line == "<<":
            part, raw = "data", []
        elif part == "data" and line == ">>":
            cases[-1].data = unescape("".join(raw)).encode("latin-1")
            part = "outcomes"
        elif part == "data":
            raw.append(line)
        elif not line or line.startswith("#"):
            continue
        elif part == "settings":
            name, _, value = line.partition(":")
            if name == "peer":
                cases[-1].peer = value.strip()
            else:
                cases[-1].settings[name] = value.strip()
        elif part == "outcomes" and line.startswith("  "):
            read_fact(cases[-1].outcomes[-1], line.strip(), place)
        elif part == "outcomes" and line.split(" ")[0] in ("request", "error", "incomplete"):
            cases[-1].outcomes.append(Outcome(unescape(line)))
        else:
            raise ValueError(f"{place}: {line!r} in {part}")
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), f"{path.name}: names are not unique"
    assert all(case.outcomes for case in cases), f"{path.name}: a case without outcome"
    return cases


def read_fact(outcome: Outcome, line: str, place: str) -> None:
    if line.startswith("-"):
        outcome.absent.append(line[1:])
        return
    name, colon, value = line.partition(":")
    assert colon, f"{place}: {line!r}"
    value = unescape(value.removeprefix(" "))
    if name == "body":
        outcome.body = value.encode("latin-1")
    elif name in ("headers", "trailers"):
        setattr(outcome, name, value)
    else:
        outcome.environ[name] = value


# Running a case


@dataclass
class Seen:
    """What a request turned out to be, everything that is visible of it."""

    line: str
    environ: dict[str, Any]
    headers: list[tuple[str, str]]
    path: str
    query: str
    body: bytes
    trailers: list[tuple[str, str]]


def make_policy(settings: dict[str, str]) -> Policy:
    """The policy that the settings of a case describe."""
    values: dict[str, Any] = {}
    for name, text in settings.items():
        items = [item.strip() for item in text.split(",") if item.strip()]
        if name == "root_path":
            values["script_name"] = text
        elif name == "forwarded_allow_ips":
            values["forwarded_allow"] = TrustedPeers(items)
        elif name == "proxy_allow_ips":
            values["proxy_allow"] = TrustedPeers(items)
        elif name == "forwarder_headers":
            values[name] = frozenset(items)
        elif name == "secure_scheme_headers":
            values[name] = dict(item.split("=") for item in items)
        elif text in ("true", "false"):
            values[name] = text == "true"
        else:
            values[name] = int(text) if text.isdigit() else text
    return Policy(**values)


class CarefulParser(HeadParser):
    """Reads every head on the careful road."""

    def parse(
        self, data: bytes, start: int, variables: dict[str, Any], trusted: bool
    ) -> Request | None:
        end = data.find(b"\r\n\r\n", start)
        if end < 0 or data[start] == 13:
            return self.parse_rare(data, start, variables, trusted)
        return self.parse_carefully(data, start, end, variables, trusted)


PROCESS = process_variables(software="test", errors=None, multithread=False, multiprocess=False)


def connect(
    policy: Policy, peer: str = "127.0.0.1", parser: Callable[[Policy], HeadParser] = HeadParser
) -> HTTPConnection:
    """A connection from `peer` to a server at 127.0.0.1:8000."""
    address: Any = b"" if peer == "unix" else (peer, 40000)
    variables = connection_variables(
        PROCESS, server=("127.0.0.1", 8000), peer=address, socket=None, secure=False
    )
    return HTTPConnection(parser(policy), policy, variables, address)


def finish(http: HTTPConnection, request: Request) -> Seen:
    body = request.body.take() if request.body is not None else b""
    kept = "keep-alive" if request.keep_alive else "close"
    version = f"HTTP/{request.version[0]}.{request.version[1]}"
    return Seen(
        f"request {request.method} {request.uri} {version} {kept}",
        request.variables,
        request.headers,
        request.path,
        request.query,
        bytes(body),
        request.trailers,
    )


def run(http: HTTPConnection, pieces: Iterable[bytes]) -> list[Seen | str]:
    """Feed `pieces`; return the requests, and last `error …` or `incomplete` if it came to that."""
    seen: list[Seen | str] = []
    try:
        for piece in pieces:
            request = http.receive(piece)
            if request is None and not http.unread_body and http.request is not None:
                request = http.request
            while request is not None and not http.unread_body:
                seen.append(finish(http, request))
                if not request.keep_alive:
                    return seen
                request = http.next_request()
    except HTTPError as error:
        assert http.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") is None
        assert http.next_request() is None
        return [*seen, f"error {type(error).__name__} {error.status}"]
    if not (http.idle and http.partial is None):
        seen.append("incomplete")
    return seen


def compare(case: Case, seen: list[Seen | str]) -> None:
    """Assert that what was seen is what the case expects."""
    assert [each if isinstance(each, str) else each.line for each in seen] == [
        outcome.line for outcome in case.outcomes
    ]
    for outcome, request in zip(case.outcomes, seen, strict=True):
        if isinstance(request, str):
            continue
        environ = {name: request.environ.get(name) for name in outcome.environ}
        assert environ == outcome.environ
        assert [name for name in outcome.absent if name in request.environ] == []
        if outcome.body is not None:
            assert request.body == outcome.body
        for expected, fields in (
            (outcome.headers, request.headers),
            (outcome.trailers, request.trailers),
        ):
            if expected is not None:
                assert ", ".join(f"{name}={value}" for name, value in fields) == expected
