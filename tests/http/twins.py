"""Two implementations of one thing, asked the same: what tests and the fuzz targets compare.

A parser's answer is told in full by `told`, whatever class the answer has, so that the answers of
two parsers can be compared with `==` and shown when they differ.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

from gunicorn.http.careful import PartialHead
from gunicorn.http.errors import HTTPError
from gunicorn.http.head import HeadParser
from gunicorn.http.policy import Policy, TrustedPeers

EVERYONE = TrustedPeers(["*"])

LAX = Policy(
    permit_obsolete_folding=True,
    strip_header_spaces=True,
    permit_unconventional_http_method=True,
    permit_unconventional_http_version=True,
    casefold_http_method=True,
    header_map="dangerous",
    script_name="/a",
    secure_scheme_headers={"X-FORWARDED-PROTO": "https", "X-SSL": "on"},
    forwarded_allow=EVERYONE,
)
"""Everything is permitted, and everybody trusted."""

POLICIES = (
    Policy(),
    LAX,
    Policy(
        header_map="refuse",
        limit_request_line=40,
        limit_request_fields=3,
        limit_request_field_size=30,
        limit_request_body=2,
    ),
    Policy(
        script_name="/p/q",
        header_map="drop",
        limit_request_line=0,
        limit_request_fields=0,
        limit_request_field_size=0,
        # Fields that also frame the message or keep the connection.
        secure_scheme_headers={"CONNECTION": "close", "HOST": "a", "CONTENT-LENGTH": "3"},
        forwarded_allow=EVERYONE,
    ),
)
"""Strict, permissive, tight, and odd."""

BEFORE: dict[str, Any] = {"wsgi.url_scheme": "http", "SCRIPT_NAME": "", "REMOTE_ADDR": "10.0.0.1"}
"""What the variables of a connection hold before there is a request."""


def told(
    parser: HeadParser, data: bytes, *, start: int = 0, trusted: bool = False
) -> dict[str, Any] | str | None:
    """What `parser` says of the head at `start`: its facts, its error, or None if incomplete."""
    variables = dict(BEFORE)
    try:
        request = parser.parse(data, start, variables, trusted)
    except HTTPError as error:
        return f"{type(error).__name__} {error.status} {error}"
    if request is None:
        return None
    assert request.variables is variables
    return {
        name: getattr(request, name)
        for name in (
            "method", "uri", "version", "headers", "keep_alive", "chunked", "content_length",
            "expect_continue", "head_end", "path", "query", "fragment", "trailers", "scheme",
            "remote_addr", "variables", "body", "peer_addr", "must_close",
        )
    } | {"should_close": request.should_close(), "order": order_of(variables)}  # fmt: skip


def order_of(variables: dict[str, Any]) -> list[str]:
    """The fields in the order in which an application meets them."""
    return [name for name in variables if name.startswith(("HTTP_", "CONTENT_"))]


def told_of_pieces(
    parser: HeadParser, pieces: Sequence[bytes], *, trusted: bool = False
) -> dict[str, Any] | str | None:
    """The same for a head that comes in pieces, as a connection puts it together."""
    first = told(parser, pieces[0], trusted=trusted)
    if first is not None:
        return first
    partial = PartialHead(parser.policy)
    try:
        for piece in pieces:
            if partial.receive(piece):
                return told(parser, bytes(partial.data), trusted=trusted)
    except HTTPError as error:
        return f"{type(error).__name__} {error.status} {error}"
    return None


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    """`data` in a few pieces."""
    places = sorted({chance.randrange(1, max(len(data), 2)) for _ in range(chance.randrange(1, 5))})
    borders = [0, *places, len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(borders)]
    return [piece for piece in pieces if piece] or [b""]
