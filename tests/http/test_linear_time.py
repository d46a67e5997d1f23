"""With every limit off the time that a message takes is linear in its bytes, whatever they are.

For each part of the grammar: a message of some size and one that is `FACTOR` times as large, whole
and in pieces, by both parsers. What is quadratic takes `FACTOR` times as long as what is linear.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from time import process_time

import pytest

from gunicorn import compiled
from gunicorn.http.errors import HTTPError
from gunicorn.http.head import HeadParser
from gunicorn.http.policy import Policy, TrustedPeers
from tests.http.corpus import connect

PARSERS: dict[str, Callable[[Policy], HeadParser]] = {"python": HeadParser}
if compiled.available():
    from gunicorn.http import _head

    PARSERS["fast"] = _head.HeadParser

UNLIMITED = Policy(limit_request_line=0, limit_request_fields=0, limit_request_field_size=0)
EVERYONE = TrustedPeers(["*"])
LAX = UNLIMITED._replace(
    permit_obsolete_folding=True,
    strip_header_spaces=True,
    permit_unconventional_http_method=True,
    permit_unconventional_http_version=True,
    casefold_http_method=True,
    header_map="dangerous",
    forwarded_allow=EVERYONE,
    proxy_protocol="auto",
    proxy_allow=EVERYONE,
)

FACTOR = 8
SLACK = 3.0
"""How much longer than `FACTOR` times as long the larger one may take: caches are finite."""


def head(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in (b"GET / HTTP/1.1", b"Host: a", *lines, b""))


def repeated(piece: bytes, size: int) -> bytes:
    return piece * (size // len(piece) + 1)


def numbered(text: bytes, size: int) -> bytes:
    """So many bytes of `text`, the number of the repetition in place of its %d."""
    return b"".join(text % number for number in range(size // (len(text) + 2) + 1))


HEADS: dict[str, Callable[[int], bytes]] = {
    "method": lambda n: repeated(b"A", n) + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    "path": lambda n: b"GET /" + repeated(b"a/.%41", n) + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "path that is cut": lambda n: b"GET /" + repeated(b"%", n) + b"\r\nHost: a\r\n\r\n",
    "query": lambda n: b"GET /?" + repeated(b"a=b&?", n) + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "query with what is forbidden": lambda n: (
        b"GET /?" + repeated(b"?", n) + b"# HTTP/1.1\r\nHost: a\r\n\r\n"
    ),
    "absolute form": lambda n: (
        b"GET http://" + repeated(b"a.", n) + b"/b?c HTTP/1.1\r\nHost: a\r\n\r\n"
    ),
    "absolute form with userinfo": lambda n: (
        b"GET http://" + repeated(b"a:", n) + b"@/ HTTP/1.1\r\nHost: a\r\n\r\n"
    ),
    "version": lambda n: b"GET / HTTP/1." + repeated(b"1", n) + b"\r\nHost: a\r\n\r\n",
    "spaces in the request line": lambda n: b"GET" + repeated(b" ", n) + b"\r\nHost: a\r\n\r\n",
    "lines without a colon": lambda n: head(repeated(b"a\r\n", n)),
    "lines that end in LF": lambda n: head(repeated(b"a\n", n)),
    "lines that end in CR": lambda n: head(repeated(b"a\r", n)),
    "colons": lambda n: head(b"X: " + repeated(b": ", n)),
    "a name": lambda n: head(repeated(b"x-", n) + b": y"),
    "a name with a space": lambda n: head(repeated(b"x ", n) + b": y"),
    "names": lambda n: head(numbered(b"X-%d: y\r\n", n) + b"X: y"),
    "names with underscores": lambda n: head(numbered(b"X_%d: y\r\n", n) + b"X: y"),
    "one name again and again": lambda n: head(repeated(b"X: yyyyyyyyyyyyyyyy\r\n", n) + b"X: y"),
    "cookies": lambda n: head(repeated(b"Cookie: a=b\r\n", n) + b"X: y"),
    "a value": lambda n: head(b"X: " + repeated(b"y z\t", n)),
    "blanks before a value": lambda n: head(b"X:" + repeated(b" \t", n) + b"y"),
    "blanks behind a value": lambda n: head(b"X: y" + repeated(b" \t", n)),
    "nothing but blanks": lambda n: head(b"X:" + repeated(b" \t", n)),
    "blanks in a value that is cut": lambda n: head(b"X: y" + repeated(b" \t", n) + b"\x00"),
    "blanks before a colon": lambda n: head(b"X" + repeated(b" \t", n) + b": y"),
    "folded lines": lambda n: head(b"X: y" + repeated(b"\r\n z", n)),
    "folded blanks": lambda n: head(b"X: y" + repeated(b"\r\n  \t", n)),
    "Host": lambda n: b"GET / HTTP/1.1\r\nHost: " + repeated(b"a%41.", n) + b"\r\n\r\n",
    "Host with a bad escape": lambda n: (
        b"GET / HTTP/1.1\r\nHost: " + repeated(b"a.%41", n) + b"%4\r\n\r\n"
    ),
    "Host with ports": lambda n: b"GET / HTTP/1.1\r\nHost: a" + repeated(b":8", n) + b"\r\n\r\n",
    "Host in brackets": lambda n: (
        b"GET / HTTP/1.1\r\nHost: ["
        + repeated(b"1:", n)
        + b"%25"
        + repeated(b"%", n)
        + b"]\r\n\r\n"
    ),
    "Host of a form to come": lambda n: (
        b"GET / HTTP/1.1\r\nHost: [v" + repeated(b"1", n) + b"." + repeated(b":", n) + b"]\r\n\r\n"
    ),
    "Connection": lambda n: head(b"Connection: " + repeated(b"a, ", n) + b"b"),
    "Transfer-Encoding": lambda n: head(b"Transfer-Encoding: " + repeated(b"a, ", n) + b"chunked"),
    "Content-Length": lambda n: head(b"Content-Length: " + repeated(b"0", n)),
    "Expect": lambda n: head(b"Expect: " + repeated(b"1", n)),
    "empty lines": lambda n: repeated(b"\r\n", n),
    "a head that never ends": lambda n: head(numbered(b"X-%d: y\r\n", n))[:-2],
    "a line that never ends": lambda n: head(b"X: " + repeated(b"y", n))[:-4],
    "PROXY line": lambda n: b"PROXY TCP4 " + repeated(b"1.", n) + b"\r\n",
    "PROXY line that never ends": lambda n: b"PROXY UNKNOWN " + repeated(b" ", n),
    "PROXY header": lambda n: (
        b"\r\n\r\n\x00\r\nQUIT\n\x20\x00" + (4000).to_bytes(2, "big") + repeated(b"\x00", n)
    ),
}

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

BODIES: dict[str, Callable[[int], bytes]] = {
    "one chunk": lambda n: b"%x\r\n" % n + bytes(n) + b"\r\n0\r\n\r\n",
    "small chunks": lambda n: repeated(b"3\r\nabc\r\n", n) + b"0\r\n\r\n",
    "padded sizes": lambda n: repeated(b"0000000000000001\r\na\r\n", n) + b"0\r\n\r\n",
    "a size that never ends": lambda n: repeated(b"0", n),
    "extensions": lambda n: repeated(b"1;a\r\nx\r\n", n),
    "an extension": lambda n: b"1;" + repeated(b"a=b;", n),
    "an extension that is quoted": lambda n: b'1;a="' + repeated(b'\\"', n),
    "blanks in an extension": lambda n: b"1;a" + repeated(b" \t", n),
    "trailers": lambda n: b"0\r\n" + repeated(b"X: yyyyyyyyyyyyyyyy\r\n", n) + b"\r\n",
    "empty trailers": lambda n: b"0\r\n" + repeated(b"X:\r\n", n) + b"\r\n",
    "a trailer": lambda n: b"0\r\nX: " + repeated(b"y ", n) + b"\r\n\r\n",
    "a name of a trailer": lambda n: b"0\r\n" + repeated(b"X-", n) + b": y\r\n\r\n",
    "a trailer that never ends": lambda n: b"0\r\nX: " + repeated(b"y", n),
    "blanks in a trailer": lambda n: b"0\r\nX: y" + repeated(b" \t", n) + b"\x00\r\n\r\n",
    "a trailer without a colon": lambda n: b"0\r\n" + repeated(b"X", n) + b"\r\n\r\n",
    "a body of a length": bytes,
}

WAYS: dict[str, tuple[int, int]] = {
    "whole": (1 << 30, 32_000), "in segments": (1400, 32_000), "byte by byte": (1, 3_000),
}  # fmt: skip
"""The bytes of a piece, and those of the smaller message: more names than a parser remembers."""


def seconds(parser: HeadParser, policy: Policy, data: bytes, size: int) -> float:
    """How long a connection takes for `data`, which comes in pieces of `size` bytes."""
    http = connect(policy, parser=lambda _: parser)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    began = process_time()
    try:
        for piece in pieces:
            request = http.receive(piece)
            while request is None and http.behind:
                request = http.receive(b"")
            if request is not None:
                break
    except HTTPError:
        # It is refused in linear time, too.
        pass
    return process_time() - began


def assert_linear(
    new_parser: Callable[[Policy], HeadParser],
    policy: Policy,
    message: Callable[[int], bytes],
    way: tuple[int, int],
) -> None:
    """The best of some times, as anything may come between."""
    size, begin = way
    small, large = message(begin), message(begin * FACTOR)
    parser = new_parser(policy)
    gc.collect()
    gc.disable()
    try:
        short = min(seconds(parser, policy, small, size) for _ in range(3))
        # What is over in no time says nothing about the rest.
        allowed = max(short, 50e-6) * FACTOR * SLACK
        for _ in range(4):
            long = seconds(parser, policy, large, size)
            if long < allowed:
                break
    finally:
        gc.enable()
    assert long < allowed, f"{long:.4f} s for {FACTOR} times what takes {short:.4f} s"


@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("policy", [UNLIMITED, LAX], ids=["strict", "lax"])
@pytest.mark.parametrize("parser", PARSERS)
def test_heads_take_time_that_is_linear_in_their_bytes(
    parser: str, policy: Policy, way: str
) -> None:
    for name, message in HEADS.items():
        try:
            assert_linear(PARSERS[parser], policy, message, WAYS[way])
        except AssertionError as error:
            raise AssertionError(f"{name}, {error}") from None


@pytest.mark.alone
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("parser", PARSERS)
def test_bodies_take_time_that_is_linear_in_their_bytes(parser: str, way: str) -> None:
    def message(part: Callable[[int], bytes], name: str, size: int) -> bytes:
        if name.endswith("length"):
            return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + part(size)
        return CHUNKED + part(size)

    for name, part in BODIES.items():
        try:
            assert_linear(PARSERS[parser], UNLIMITED, partial(message, part, name), WAYS[way])
        except AssertionError as error:
            raise AssertionError(f"{name}, {error}") from None
