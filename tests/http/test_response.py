"""Response heads: how a body is delimited, what is refused, what is dropped, what is added."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from gunicorn.http import response as module
from gunicorn.http.response import (
    CHUNKED,
    CLOSE,
    LENGTH,
    NO_BODY,
    InvalidResponse,
    ResponseRenderer,
    chunk,
    error_page,
)

DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


def render(
    status: str = "200 OK",
    fields: Any = (),
    *,
    method: str = "GET",
    version: tuple[int, int] = (1, 1),
    keep_alive: bool = True,
    length: int | None = None,
    server: str = "gunicorn",
) -> tuple[str, list[tuple[str, str]], int, int | None, bool]:
    """(status line, fields, delimiting, length, keep-alive)."""
    renderer = ResponseRenderer(server)
    rendered = renderer.fields(status, list(fields))
    data, delimiting, size, kept = renderer.head(rendered, method, version, keep_alive, length)
    head = data.decode("latin-1")
    assert head.endswith("\r\n\r\n")
    line, *lines = head[:-4].split("\r\n")
    pairs = [tuple(each.split(": ", 1)) for each in lines]
    return line, pairs, delimiting, size, kept  # type: ignore[return-value]


# RFC 9112, 6.3: (delimiting, Content-Length, Transfer-Encoding, kept)
def expected(
    method: str, version: tuple[int, int], code: str, known: int | None, announced: int | None
) -> tuple[int, str | None, str | None, bool]:
    if code == "101":
        return CLOSE, None, None, False
    if code == "204":
        return NO_BODY, None, None, True
    if code == "205":
        return NO_BODY, "0", None, True
    if code == "304":
        return NO_BODY, None if announced is None else str(announced), None, True
    length = announced if announced is not None else known
    if method == "HEAD":
        # Nothing is better than a length that GET might not have.
        return NO_BODY, str(length) if length else None, None, True
    if length is not None:
        return LENGTH, str(length), None, True
    if version == (1, 1):
        return CHUNKED, None, "chunked", True
    return CLOSE, None, None, False


@pytest.mark.parametrize("announced", [None, 7])
@pytest.mark.parametrize("known", [None, 0, 5])
@pytest.mark.parametrize("code", ["200", "404", "204", "205", "304", "101"])
@pytest.mark.parametrize("version", [(1, 0), (1, 1)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_delimiting(
    method: str, version: tuple[int, int], code: str, known: int | None, announced: int | None
) -> None:
    given = [] if announced is None else [("Content-Length", str(announced))]
    _, fields, delimiting, _, kept = render(
        f"{code} X", given, method=method, version=version, length=known
    )
    found = dict(fields)
    assert len(found) == len(fields), "a field came twice"
    assert (
        delimiting, found.get("Content-Length"), found.get("Transfer-Encoding"), kept
    ) == expected(method, version, code, known, announced)  # fmt: skip
    if code == "101":
        assert "Connection" not in found
    elif not kept:
        assert found["Connection"] == "close"
    else:
        assert found.get("Connection") == ("keep-alive" if version == (1, 0) else None)


@pytest.mark.parametrize("version", [(1, 0), (1, 1)])
def test_a_connection_that_is_not_kept_says_so(version: tuple[int, int]) -> None:
    _, fields, _, _, kept = render(version=version, keep_alive=False, length=0)
    assert ("Connection", "close") in fields
    assert not kept


@pytest.mark.parametrize(
    ("value", "kept"),
    [("close", False), ("Close", False), ("x, CLOSE ", False), ("keep-alive", True),
     ("x-close", True), ("", True)],
)  # fmt: skip
def test_connection_close_of_an_application(value: str, kept: bool) -> None:
    _, fields, _, _, result = render(fields=[("Connection", value)], length=0)
    assert result is kept
    assert [item for item in fields if item[0] == "Connection"] == (
        [] if kept else [("Connection", "close")]
    )


# What may not reach the wire (RFC 9112, 11.1)


@pytest.mark.parametrize(
    "status",
    ["", "200\r\nX: y", "200 OK\n", "200 OK\r", "20 OK", "2000 OK", "200OK", "OK", "099 X",
     "200 O\0K", "200 \u20ac", " 200 OK"],
)  # fmt: skip
def test_a_status_that_is_refused(status: str) -> None:
    with pytest.raises(InvalidResponse, match="status"):
        render(status)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nSet-Cookie: b"), ("X", "a\nb"), ("X", "a\rb"), ("X", "a\0b"), ("X", "a\r\n"),
        ("X\r\nY", "a"), ("X\n", "a"), ("X Y", "a"), ("X:", "a"), ("", "a"), ("X\xe9", "a"),
        ("X", "\u20ac"), ("X", b"a"), (b"X", "a"), ("X", 1), ("X", None),
        ("Content-Length", "x"), ("Content-Length", "-1"), ("Content-Length", "1\r\n"),
        ("Content-Length", "0x5"), ("Content-Length", ""), ("Content-Length", "5 "),
        ("Content-Length", 5), ("Date", "x\r\ny"), ("Server", "x\ny"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("own_date", [False, True])
def test_a_field_that_is_refused(name: Any, value: Any, own_date: bool) -> None:
    fields = [("Date", "x")] if own_date else []
    with pytest.raises(InvalidResponse):
        render(fields=[*fields, (name, value)])
    with pytest.raises(InvalidResponse):
        render(fields=[(name, value), *fields])


def test_a_refusal_leaves_nothing_behind() -> None:
    renderer = ResponseRenderer()
    for _ in range(2):
        with pytest.raises(InvalidResponse):
            renderer.fields("200 OK\r\n", [])
        with pytest.raises(InvalidResponse):
            renderer.fields("200 OK", [("X Y", "z")])
    assert dict(renderer.status_lines) == {}


def test_two_content_lengths() -> None:
    with pytest.raises(InvalidResponse, match="Content-Length 1 and Content-Length 2"):
        render(fields=[("Content-Length", "1"), ("content-length", "2")])
    _, fields, _, length, _ = render(fields=[("Content-Length", "2"), ("content-length", "02")])
    assert (length, dict(fields)["Content-Length"]) == (2, "2")


def test_latin_1_passes() -> None:
    line, fields, _, _, _ = render("200 \xe9", [("X", "\xe9\xff\t ")])
    assert line == "HTTP/1.1 200 \xe9"
    assert ("X", "\xe9\xff\t ") in fields


def test_a_status_without_reason_keeps_its_space() -> None:
    assert render("200")[0] == "HTTP/1.1 200 "
    assert render("200 ")[0] == "HTTP/1.1 200 "


# Whose fields are whose


@pytest.mark.parametrize(
    "name",
    ["Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer",
     "Trailers", "Transfer-Encoding", "transfer-encoding", "Upgrade"],
)  # fmt: skip
def test_hop_by_hop_fields_are_dropped(name: str) -> None:
    renderer = ResponseRenderer()
    rendered = renderer.fields("200 OK", [("A", "1"), (name, "chunked"), ("B", "2")])
    assert rendered.block == "A: 1\r\nB: 2\r\n"
    assert rendered.dropped == [name]


def test_a_field_that_would_be_dropped_is_refused_all_the_same() -> None:
    for name in ("Connection", "Transfer-Encoding", "Keep-Alive"):
        for value in ("a\r\nb", "a\n", "\0"):
            with pytest.raises(InvalidResponse, match="CR, LF or NUL"):
                render(fields=[(name, value)])


def test_a_name_may_be_of_a_subclass() -> None:
    """Frameworks have their own strings; they are as good, and are not kept."""

    class Text(str):
        __slots__ = ()

    renderer = ResponseRenderer()
    rendered = renderer.fields("200 OK", [(Text("X"), Text("y")), (Text("TE"), "x")])
    assert (rendered.block, rendered.dropped) == ("X: y\r\n", ["TE"])
    assert dict(renderer.kinds) == {}
    with pytest.raises(InvalidResponse):
        renderer.fields("200 OK", [(Text("X Y"), "z")])


def test_upgrade_passes_with_101() -> None:
    line, fields, delimiting, _, kept = render(
        "101 Switching Protocols", [("Upgrade", "websocket"), ("Connection", "Upgrade")]
    )
    assert line == "HTTP/1.1 101 Switching Protocols"
    assert ("Upgrade", "websocket") in fields
    assert ("Connection", "Upgrade") in fields
    assert (delimiting, kept) == (CLOSE, False)


def test_date_and_server_are_added() -> None:
    found = dict(render(server="x/1")[1])
    assert DATE.fullmatch(found["Date"])
    assert found["Server"] == "x/1"
    assert "Server" not in dict(render(server="")[1])


def test_date_and_server_of_an_application_stand() -> None:
    given = [("date", "now"), ("SERVER", "mine")]
    fields = render(fields=given)[1]
    assert [item for item in fields if item[0].lower() in ("date", "server")] == given
    names = [name for name, _ in render(fields=given[:1])[1]]
    assert (names.count("Server"), names.count("Date"), names.count("date")) == (1, 0, 1)


def test_the_date_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    renderer = ResponseRenderer()

    def date() -> bytes:
        start = renderer.fields("200 OK", []).start
        return start.split(b"Date: ")[1].rstrip()

    assert date() == b"Sun, 09 Sep 2001 01:46:40 GMT"
    now += 1
    assert date() == b"Sun, 09 Sep 2001 01:46:40 GMT"
    renderer.status_lines.refresh()
    assert date() == b"Sun, 09 Sep 2001 01:46:41 GMT"


def test_an_application_does_not_grow_the_caches() -> None:
    renderer = ResponseRenderer()
    for number in range(2000):
        renderer.fields(f"200 OK {number}", [(f"X-{number}", "y")])
    assert len(renderer.kinds) <= module.MAX_NAMES
    assert len(renderer.status_lines) <= module.MAX_STATUS_LINES
    assert len(renderer.status_lines.responses) <= module.MAX_RESPONSES


def test_small_parts() -> None:
    assert chunk(b"x" * 16) == b"10\r\n" + b"x" * 16 + b"\r\n"
    page = error_page(400, "Bad Request", "<script>&")
    assert b"&lt;script&gt;&amp;" in page
    assert b"<script>" not in page
