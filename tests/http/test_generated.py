"""Requests made up at random: on both roads, in pieces, and compared with h11.

h11 is another reader of the same RFCs. Where the two do not agree, either we are stricter, and
`STRICTER` says why, or h11 is, and `LAXER` says why.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable

import h11
import pytest

from gunicorn.http.head import HeadParser
from gunicorn.http.policy import Policy
from tests.http.corpus import CarefulParser, Seen, connect, run
from tests.http.generate import requests
from tests.http.twins import LAX

POLICIES = [
    Policy(),
    LAX,
    Policy(header_map="refuse", limit_request_line=30, limit_request_field_size=20),
]


@pytest.mark.parametrize("policy", POLICIES, ids=["strict", "lax", "tight"])
def test_both_roads_are_one(policy: Policy) -> None:
    kinds: Counter[type] = Counter()
    for data in requests(1, 6000):
        fast, careful = (
            run(connect(policy, parser=parser), [data]) for parser in (HeadParser, CarefulParser)
        )
        assert fast == careful, data
        kinds.update(type(each) for each in fast)
    assert min(kinds[Seen], kinds[str]) > 300, "the generator makes too few of one kind"


@pytest.mark.parametrize("policy", POLICIES, ids=["strict", "lax", "tight"])
def test_pieces_make_no_difference(policy: Policy) -> None:
    """Which of two broken rules is named may depend on the pieces; that one is broken may not."""
    chance = random.Random(2)
    for data in requests(2, 2500):
        whole = run(connect(policy), [data])
        place = chance.randrange(1, len(data))
        for pieces in ([bytes([byte]) for byte in data], [data[:place], data[place:]]):
            seen = run(connect(policy), pieces)
            if isinstance(whole[-1], str) and isinstance(seen[-1], str):
                # A head that breaks off may be refused whole or waited for, but by one verdict.
                assert seen[-1].split()[0] == whole[-1].split()[0], data
                assert seen[:-1] == whole[:-1], data
            else:
                assert seen == whole, data


# h11

STRICTER = {
    "BareLineBreak": "h11 takes LF alone for a line break, as RFC 9112, 2.2 allows; others do not",
    "ObsoleteFolding": "h11 unfolds; RFC 9112, 5.2 lets a server refuse",
    "InvalidRequestMethod": "h11 takes any token; small letters and short names need a setting",
    "UnsupportedMethod": "h11 leaves CONNECT to its user; an origin server has no use for it",
    "InvalidRequestTarget": "h11 takes any visible characters for a target",
    "UnsupportedHTTPVersion": "h11 leaves versions other than 1.1 to its user",
    "InvalidHost": "h11 counts Host, but does not look into it",
    "InvalidContentLength": "h11 accepts equal lengths, repeated or in a list",
    "ConflictingFraming": "h11 lets Transfer-Encoding win, as RFC 9112, 6.3 allows",
    "InvalidTransferEncoding": "h11 takes chunked from HTTP/1.0",
    "ExpectationFailed": "h11 leaves other expectations to its user",
    "InvalidChunkExtension": "h11 takes blanks behind a chunk size",
    "InvalidTrailer": "h11 takes any field for a trailer, and LF alone at the end",
    "InvalidHeader": "h11 takes control characters other than CR, LF and NUL in a value",
}

LAXER: dict[str, Callable[[bytes], bool]] = {
    # Some clients do not percent-encode them. They mislead nobody: WSGI gets them as they are.
    "bytes beyond ASCII in the target": lambda data: bool(
        re.search(rb"^[A-Z]+ \S*[\x80-\xff]\S* HTTP", data, re.MULTILINE)
    ),
}


def run_h11(data: bytes) -> list[tuple[bytes, bytes, bytes] | str]:
    """The requests that h11 sees, as (method, target, body)."""
    http = h11.Connection(h11.SERVER)
    http.receive_data(data)
    seen: list[tuple[bytes, bytes, bytes] | str] = []
    body = b""
    request: h11.Request | None = None
    try:
        while True:
            event = http.next_event()
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                seen.append((request.method, request.target, body))
                http.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
                http.send(h11.EndOfMessage())
                if http.our_state is h11.MUST_CLOSE:
                    return seen
                http.start_next_cycle()
            else:
                begun = http.trailing_data[0] or http.their_state is h11.SEND_BODY
                if begun or event is h11.PAUSED:
                    seen.append("incomplete")
                return seen
    except h11.RemoteProtocolError:
        return [*seen, "error"]


def run_ours(data: bytes) -> list[tuple[bytes, bytes, bytes] | str]:
    return [
        each
        if isinstance(each, str)
        else (
            each.environ["REQUEST_METHOD"].encode("latin-1"),
            each.environ["RAW_URI"].encode("latin-1"),
            each.body,
        )
        for each in run(connect(Policy()), [data])
    ]


def test_differences_from_h11() -> None:
    agreed: Counter[str] = Counter()
    stricter: set[str] = set()
    unexplained: list[tuple[bytes, object, object]] = []
    for data in requests(3, 6000):
        ours, theirs = run_ours(data), run_h11(data)
        for our, their in zip(ours, theirs, strict=False):
            if our == their and our != "incomplete":
                agreed["request"] += 1
                continue
            if isinstance(our, str) and their in ("error", "incomplete"):
                agreed["refusal"] += 1
            elif isinstance(our, str) and our.startswith("error"):
                name = our.split()[1]
                assert name in STRICTER, (data, our, their)
                stricter.add(name)
            elif their == "error" and any(explains(data) for explains in LAXER.values()):
                agreed["laxer"] += 1
            else:
                unexplained.append((data, our, their))
            break
    assert unexplained == []
    assert stricter == set(STRICTER), "a difference is listed that is none"
    assert agreed["laxer"] > 0
    assert min(agreed["request"], agreed["refusal"]) > 500
