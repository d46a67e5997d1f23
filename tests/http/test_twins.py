"""The compiled head parser and response renderer, held to their Python twins.

Both are asked the same, and everything that is visible of their answers has to be equal: what an
application gets, what the connection goes by, and the error of the rule that is broken. Without the
compiled modules there is nothing to compare: see tests/test_compiled.py.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gunicorn.http import _head, _response, careful
from gunicorn.http.head import FieldNames, HeadParser, Hosts, Memo
from gunicorn.http.policy import Policy
from gunicorn.http.response import InvalidResponse, ResponseRenderer
from tests.http.corpus import Case, compare, connect, load, make_policy, run
from tests.http.generate import damage, requests
from tests.http.twins import POLICIES, cut, told, told_of_pieces


def test_the_twins_are_two() -> None:
    assert _head.HeadParser is not HeadParser
    assert _response.ResponseRenderer is not ResponseRenderer
    assert _head.__file__.endswith(".so")


def pair(policy: Policy) -> tuple[HeadParser, HeadParser]:
    return _head.HeadParser(policy), HeadParser(policy)


# The corpus


def test_corpus_whole_and_in_pieces() -> None:
    """Each case by the compiled parser as the file says, and by both with equal results."""
    for case in load():
        policy = make_policy(case.settings)
        compare(case, run(connect(policy, case.peer, _head.HeadParser), [case.data]))
        for pieces in ways(case):
            fast, python = (
                run(connect(policy, case.peer, parser), pieces)
                for parser in (_head.HeadParser, HeadParser)
            )
            assert fast == python, (case.place, pieces)


def ways(case: Case) -> Iterable[list[bytes]]:
    """Whole, byte by byte, split once at many places (at each, if it is short), at random."""
    data = case.data
    yield [data]
    if len(data) <= 4000:
        yield [bytes([byte]) for byte in data]
    for place in range(1, len(data), max(len(data) // 200, 1)):
        yield [data[:place], data[place:]]
    chance = random.Random(case.name)
    for _ in range(3):
        yield cut(data, chance)


def test_corpus_by_parsers_that_have_seen_it_all() -> None:
    """One pair of parsers for all cases, twice over: what they remember changes nothing."""
    pairs = [pair(policy) for policy in POLICIES]
    cases = [case.data for case in load() if len(case.data) < 20_000]
    for data, (fast, python) in itertools.product(cases * 2, pairs):
        for trusted in (False, True):
            assert told(fast, data, trusted=trusted) == told(python, data, trusted=trusted), data


def test_every_prefix_and_every_start() -> None:
    """The bytes end at every place, and the head begins at every place."""
    fast, python = pair(Policy())
    data = get("Host: a", "X-Y:  z ", "Content-Length: 12").replace(b"/", b"/%41?b", 1) + b"GET / H"
    for end in range(1, len(data)):
        assert told(fast, data[:end]) == told(python, data[:end]), data[:end]
    for start in range(len(data) - 1):
        assert told(fast, data, start=start) == told(python, data, start=start), data[start:]


def test_every_byte_at_every_place() -> None:
    fast, python = pair(Policy())
    data = b"GET /a?b HTTP/1.1\r\nHost: a\r\nX: yz\r\n\r\n"
    for place, byte in itertools.product(range(len(data)), range(256)):
        spoiled = data[:place] + bytes([byte]) + data[place + 1 :]
        assert told(fast, spoiled) == told(python, spoiled), spoiled


# Made up


@pytest.mark.parametrize("policy", POLICIES, ids=["strict", "permissive", "tight", "odd"])
def test_generated(policy: Policy) -> None:
    chance = random.Random(4)
    kinds: Counter[type] = Counter()
    fast, python = pair(policy)
    for data in requests(4, 1500):
        trusted = chance.random() < 0.5
        answer = told(fast, data, trusted=trusted)
        assert answer == told(python, data, trusted=trusted), data
        kinds[type(answer)] += 1
        pieces = cut(data, chance)
        assert told_of_pieces(fast, pieces, trusted=trusted) == told_of_pieces(
            python, pieces, trusted=trusted
        ), pieces
    assert min(kinds[dict], kinds[str]) > 100, "the generator makes too few of one kind"


NAMES = st.sampled_from(
    [b"Host", b"host", b"Content-Length", b"content-length", b"Connection", b"Cookie", b"X",
     b"Transfer-Encoding", b"Expect", b"X-Forwarded-Proto", b"X-SSL", b"SCRIPT_NAME", b"X_Y",
     b"Accept", b"Content-Type", b"Content_Length", b"x-" + b"n" * 62, b"x-" + b"n" * 63]
) | st.binary(max_size=4)  # fmt: skip
VALUES = st.sampled_from(
    [b"a", b"h:80", b"[::1]", b"3", b"0", b"000000000000000003", b"9" * 18, b"9" * 19, b"close",
     b"Keep-Alive", b"close, x", b"chunked", b"100-continue", b"https", b"on", b"a" * 256,
     b"a" * 257, b"\xe9", b" a ", b""]
) | st.binary(max_size=6)  # fmt: skip
FIELDS = st.builds(
    lambda name, colon, value, end: name + colon + value + end,
    NAMES,
    st.sampled_from([b": "] * 6 + [b":", b":\t ", b" : ", b""]),
    VALUES,
    st.sampled_from([b"\r\n"] * 8 + [b" \r\n", b"\n", b"\r\n x\r\n"]),
)
METHODS = st.sampled_from(
    [b"GET", b"POST", b"HEAD", b"CONNECT", b"get", b"X", b"A" * 20, b"A" * 21]
)
TARGETS = st.sampled_from(
    [b"/", b"/a/b?c", b"/a", b"/%41%4", b"/p/q/%c3%a9?", b"*", b"http://h/x", b"//", b"/?a#"]
) | st.binary(max_size=6).map(b"/".__add__)  # fmt: skip
VERSIONS = st.sampled_from([b"1.1"] * 6 + [b"1.0", b"1.2", b"2.0", b"1.11"])
HEADS = st.builds(
    lambda method, target, version, fields, rest: (
        b"%b %b HTTP/%b\r\n%b\r\n%b" % (method, target, version, b"".join(fields), rest)
    ),
    METHODS,
    TARGETS,
    VERSIONS,
    st.lists(FIELDS, max_size=6).map(lambda fields: [b"Host: a\r\n", *fields][len(fields) % 2 :])
    | st.lists(FIELDS, max_size=6).map(lambda fields: [*fields, b"Host: a\r\n"]),
    st.binary(max_size=3),
)
INPUTS = st.one_of(
    HEADS,
    HEADS,
    st.builds(lambda head, seed: damage(head, random.Random(seed)), HEADS, st.integers()),
)
FREELY = settings(
    deadline=None,
    derandomize=True,  # the fuzz targets look for what is new
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@settings(FREELY, max_examples=600)
@given(data=INPUTS, trusted=st.booleans(), policy=st.sampled_from(POLICIES), seed=st.integers())
@example(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", False, POLICIES[0], 0)
@example(b"GET / HTTP/1.0\r\nConnection: close\r\n\r\n", True, POLICIES[3], 0)
def test_hypothesis(data: bytes, trusted: bool, policy: Policy, seed: int) -> None:
    """Twice with the same parsers: the second time they know the names."""
    fast, python = pair(policy)
    for _ in range(2):
        assert told(fast, data, trusted=trusted) == told(python, data, trusted=trusted)
    pieces = cut(data, random.Random(seed))
    assert told_of_pieces(fast, pieces, trusted=trusted) == told_of_pieces(
        python, pieces, trusted=trusted
    )


# What a parser remembers


def get(*fields: str) -> bytes:
    return "\r\n".join(["GET / HTTP/1.1", *fields, "", ""]).encode("latin-1")


def test_more_names_than_are_remembered() -> None:
    fast, python = pair(Policy())
    known = [get("Host: a", f"X-{number}: {number}") for number in range(FieldNames.ROOM + 300)]
    for data in known + known[::-1]:
        assert told(fast, data) == told(python, data)
    # Repeated, the first spelling being remembered and the second not.
    for data in (get("Host: a", "X-5: a", "x-5: b"), get("Host: a", "HOST: a")):
        assert told(fast, data) == told(python, data)


def test_who_fills_the_memory_with_names_does_not_keep_it_full() -> None:
    fast, python = pair(Policy())

    def is_fast(data: bytes) -> bool:
        assert told(fast, data) == told(python, data)
        return type(fast.parse(data, 0, {}, False)) is not type(python.parse(data, 0, {}, False))

    junk = (get("Host: a", f"X-{number}: 1") for number in itertools.count())
    for data in itertools.islice(junk, FieldNames.ROOM):
        assert told(fast, data) == told(python, data)
    late = get("Host: a", "Late: 1", "late-too: 2", "Content-Length: 5")
    assert not is_fast(late)
    for data in itertools.islice(junk, FieldNames.PATIENCE + 2):
        assert told(fast, data) == told(python, data)
    is_fast(late)
    assert is_fast(late)
    for data in (get("Host: a", "Late: 1", "LATE: 2"), get("Host: a", "HOST: a")):
        assert told(fast, data) == told(python, data)


def test_who_fills_the_memory_with_hosts_does_not_keep_it_full() -> None:
    fast, python = pair(Policy())
    for number in range(Hosts.ROOM + Hosts.PATIENCE + 10):
        data = get(f"Host: h{number}.example")
        assert told(fast, data) == told(python, data)
    assert len(python.hosts) < Hosts.ROOM
    late = get("Host: late.example")
    for _ in range(2):
        assert told(fast, late) == told(python, late)
    assert "late.example" in python.hosts


def test_spellings_of_a_name_are_one_field() -> None:
    fast, python = pair(Policy())
    spellings = ["".join(each) for each in itertools.product("hH", "oO", "sS", "tT")]
    for first, second in itertools.product(spellings, repeat=2):
        data = get(f"{first}: a", f"{second}: a")
        assert told(fast, data) == told(python, data)
        assert "InvalidHost" in str(told(fast, data))
    for one, other in itertools.product(
        ["content-length", "Content-Length", "CONTENT-LENGTH"], repeat=2
    ):
        data = get("Host: a", f"{one}: 3", f"{other}: 3")
        assert told(fast, data) == told(python, data)


def test_more_hosts_than_are_remembered() -> None:
    fast, python = pair(Policy())
    for number in [*range(Hosts.ROOM + 100), *range(Hosts.ROOM + 100)]:
        data = get(f"Host: h{number}.example:80")
        assert told(fast, data) == told(python, data)
    assert "InvalidHost" in str(told(fast, get("Host: h 1")))


def test_more_heads_than_are_remembered() -> None:
    fast, python = pair(Policy())
    heads = [get("Host: a", f"X: {number}") for number in range(Memo.ROOM + 100)]
    for _ in range(Memo.PATIENCE // 100 + 3):
        for data in heads[-100:] + heads:
            assert told(fast, data) == told(python, data)
            assert len(python.blocks) <= Memo.ROOM
    lines = [get("Host: a").replace(b"/", b"/%d" % number) for number in range(Memo.ROOM + 100)]
    for data in lines:
        assert told(fast, data) == told(python, data)
        assert len(python.lines) <= Memo.ROOM


def test_field_lines_mean_the_same_again() -> None:
    """What surrounds a block that was read before is another time."""
    policy = Policy(secure_scheme_headers={"X-FORWARDED-PROTO": "https"})
    blocks = [
        ("Host: a",), ("Host: a", "Connection: close"), ("Host: a", "Connection: Keep-Alive"),
        ("Host: a", "Connection: upgrade"), ("X: y",), ("Host: a b",), (),
        ("Host: a", "X-Forwarded-Proto: https"), ("Host: a", "Content-Length: 0"),
        ("Host: a", "Expect: 100-continue"), ("Host: a", "Transfer-Encoding: chunked"),
    ]  # fmt: skip
    fast, python = pair(policy)
    for _ in range(3):
        for block, minor, trusted in itertools.product(blocks, "10", (False, True)):
            data = get(*block).replace(b"/1.1", b"/1." + minor.encode())
            assert told(fast, data, trusted=trusted) == told(python, data, trusted=trusted)


def test_values_are_not_mixed_up() -> None:
    """A value is remembered by its name: one of the same length, a longer one, one not ASCII."""
    fast, python = pair(Policy())
    values = ["a", "b", "ab", "", "é", "ée", "a" * 256, "a" * 255 + "b", "a" * 257, "\xff" * 256]
    for first, second in itertools.product(values, repeat=2):
        for value in (first, second, first):
            data = get("Host: a", f"X: {value}", f"Y: {value}")
            assert told(fast, data) == told(python, data)
            answer = told(fast, data)
            assert isinstance(answer, dict)
            assert answer["variables"]["HTTP_X"] == value


def test_numbers_of_fields() -> None:
    """Around the user's limit, and around what the compiled parser has room for."""
    for limit in (0, 1, 5, 127, 128, 129, 300):
        fast, python = pair(Policy(limit_request_fields=limit))
        for count in (0, 1, 4, 5, 126, 127, 128, 129, 299, 300):
            data = get("Host: a", *(f"X-{number}: y" for number in range(count)))
            for _ in range(2):
                assert told(fast, data) == told(python, data), (limit, count)


def test_a_parser_that_reads_while_it_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning a name runs Python, and with it whatever is due: here, another head each time."""
    fast, python = pair(Policy())
    meta_variable = careful.meta_variable
    inner = get("Host: a", "Accept: b")
    told(fast, inner)

    def nosy(name: str) -> str:
        monkeypatch.setattr(careful, "meta_variable", meta_variable)
        told(fast, inner)
        monkeypatch.setattr(careful, "meta_variable", nosy)
        return meta_variable(name)

    monkeypatch.setattr(careful, "meta_variable", nosy)
    for number in range(50):
        repeated = get("Host: a", f"X-{number}: b", "Host: a")
        assert "InvalidHost" in str(told(fast, repeated))
        single = get("Host: a", f"Y-{number}: b")
        assert told(fast, single) == told(python, single)
    monkeypatch.setattr(careful, "meta_variable", meta_variable)
    assert told(fast, inner) == told(python, inner)


# Responses

STATUSES = ["200 OK", "204 No Content", "205 Reset Content", "304 Not Modified", "404 é", "200",
            "101 Switching Protocols", "101", "103 Early Hints", "100 Continue", "500 \x7f",
            "500 a\tb", "200 OK\r\n", "", "20 OK", "999 x", "600", "0200 OK"]  # fmt: skip
RESPONSE_FIELDS: list[tuple[Any, Any]] = [
    ("Content-Type", "text/plain"), ("content-type", "t/x"), ("Content-Length", "5"),
    ("content-length", "6"), ("Content-Length", "0"), ("Content-Length", "9" * 18),
    ("Content-Length", "9" * 19), ("Content-Length", "+5"), ("Content-Length", ""),
    ("Content-Length", "\u0665"), ("Date", "today"), ("Server", "me"), ("server", ""),
    ("Connection", "close"), ("Connection", "keep-alive, X"), ("Keep-Alive", "5"),
    ("Transfer-Encoding", "chunked"), ("Upgrade", "websocket"), ("TE", "x"), ("Trailer", "y"),
    ("X", "é"), ("X", "\u20ac"), ("X", "a\r\nb"), ("X", "a\nb"), ("X", "a\rb"), ("X", "a\0b"),
    ("X", "a\x01b"), ("X", ""), ("X", "a" * 8000), ("X", "a" * 300), ("", "x"), ("X Y", "z"),
    ("X:", "z"), ("é", "z"), ("X", 5), (5, "X"), ("X", b"b"), (b"X", "b"), ("X", None),
]  # fmt: skip


def rendered(renderer: ResponseRenderer, status: str, fields: Any) -> Any:
    """Every head that comes of `fields`, or the error."""
    try:
        known = renderer.fields(status, fields)
    except (InvalidResponse, ValueError, TypeError) as error:
        return type(error).__name__, str(error)
    heads = []
    for renderer.closing in (True, False):
        for method, version, keep_alive, length in itertools.product(
            ("GET", "HEAD"), ((1, 1), (1, 0)), (True, False), (None, 0, 5, 10**15)
        ):
            heads.append(renderer.head(known, method, version, keep_alive, length))
    return known.length, known.close, known.upgrade, known.dropped, heads


def pair_of_renderers(server: str) -> tuple[ResponseRenderer, ResponseRenderer]:
    """Two that agree on the time, for they never look at it again."""
    renderers = _response.ResponseRenderer(server), ResponseRenderer(server)
    for each in renderers:
        each.status_lines.date = "Date: now\r\n"
        each.status_lines.clear()
    return renderers


@settings(FREELY, max_examples=120)
@given(
    st.sampled_from(STATUSES[:4]) | st.sampled_from(STATUSES) | st.text(max_size=6),
    st.lists(st.sampled_from(RESPONSE_FIELDS[:5]), max_size=3)
    | st.lists(st.sampled_from(RESPONSE_FIELDS), max_size=5)
    | st.lists(st.tuples(st.text(max_size=3), st.text(max_size=4)), max_size=2),
    st.sampled_from(["gunicorn", ""]),
)
@example("101 Switching Protocols", [("X", "y")], "gunicorn")
def test_responses(status: str, fields: list[Any], server: str) -> None:
    """Again and again by one pair: the second time names and statuses are known."""
    fast, python = pair_of_renderers(server)
    for _ in range(3):
        assert rendered(fast, status, fields) == rendered(python, status, fields)
    assert rendered(fast, status, tuple(fields)) == rendered(python, status, tuple(fields))


def test_each_status_with_each_field() -> None:
    fast, python = pair_of_renderers("s")
    for _ in range(2):
        for status, field in itertools.product(STATUSES, RESPONSE_FIELDS):
            for fields in ([field], [("A", "b"), field], [field, field]):
                assert rendered(fast, status, fields) == rendered(python, status, fields)


def test_a_renderer_that_is_closing() -> None:
    for each in pair_of_renderers("s"):
        each.closing = True
        head, _, _, keep_alive = each.head(each.fields("200 OK", []), "GET", (1, 1), True, 5)
        assert b"\r\nConnection: close\r\n" in head
        assert not keep_alive
        # RFC 9110, 15.2: an interim response does not end the exchange.
        head, *_ = each.head(each.fields("103 Early Hints", []), "GET", (1, 1), True, None)
        assert b"Connection" not in head


def test_large_blocks_of_fields() -> None:
    """Around the room that the compiled renderer has."""
    fast, python = pair_of_renderers("s")
    for size in (8100, *range(8170, 8200), 9000, 70_000):
        for fields in ([("X", "a" * size)], [("X", "a" * 100), ("Y", "b" * (size - 106))]):
            assert rendered(fast, "200 OK", fields) == rendered(python, "200 OK", fields), size


def test_more_statuses_and_names_than_are_remembered() -> None:
    fast, python = pair_of_renderers("s")
    for number in [*range(1500), *range(1500)]:
        status, fields = f"200 {number}", [(f"X-{number}", "y"), ("Content-Length", "5")]
        one, other = fast.fields(status, fields), python.fields(status, fields)
        assert fast.head(one, "GET", (1, 1), True, 5) == python.head(other, "GET", (1, 1), True, 5)
