"""The state machine: what comes out when, how much is kept, and what is left after an error."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator

import pytest

from gunicorn.http import errors
from gunicorn.http.connection import HTTPConnection
from gunicorn.http.head import FieldNames, HeadParser, Hosts
from gunicorn.http.policy import Policy, TrustedPeers
from gunicorn.http.request import Request
from tests.http.corpus import connect

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def post(length: int, fields: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n" % (length, fields)


def must(request: Request | None) -> Request:
    assert request is not None
    return request


# One request at a time


def test_a_pipelined_request_waits_for_its_turn() -> None:
    http = connect(Policy())
    assert must(http.receive(GET + GET + GET[:10])).uri == "/"
    assert http.receive(GET[10:]) is None
    assert not http.idle
    must(http.next_request())
    must(http.next_request())
    assert http.next_request() is None
    assert http.idle


def test_idle_between_requests_only() -> None:
    http = connect(Policy())
    assert http.idle
    http.receive(b"G")
    assert not http.idle
    must(http.receive(GET[1:]))
    assert not http.idle
    assert http.next_request() is None
    assert http.idle
    http.receive(post(3))
    assert not http.idle


@pytest.mark.parametrize("rest", [b"\r\n", b""])
def test_an_empty_line_leaves_a_connection_idle(rest: bytes) -> None:
    """Some clients end a body with one; no request has begun by that."""
    http = connect(Policy())
    must(http.receive(post(1) + b"x" + rest))
    assert http.next_request() is None
    assert http.idle
    must(http.receive(GET))


def test_peer_address_and_scheme_of_a_request() -> None:
    request = must(connect(Policy(), "10.1.2.3").receive(GET))
    assert request.peer_addr == ("10.1.2.3", 40000)
    assert (request.remote_addr, request.scheme, request.fragment) == ("10.1.2.3", "http", "")
    assert not request.should_close()
    request.must_close = True
    assert request.should_close()
    assert request.trailers == []


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a%20b?c", "/a%20b", "c"),
        ("/a", "/a", ""),
        ("http://h/a?b?c", "/a", "b?c"),
        ("http://h", "/", ""),
        ("http://h?x=/y/z", "/", "x=/y/z"),
        ("/a?b=http://c/d", "/a", "b=http://c/d"),
        ("*", "", ""),
    ],
)
def test_path_and_query_of_a_target(target: str, path: str, query: str) -> None:
    request = must(
        connect(Policy()).receive(f"OPTIONS {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    )
    assert (request.uri, request.path, request.query) == (target, path, query)


# Expect: 100-continue


def test_continue_is_awaited_until_the_body_comes() -> None:
    http = connect(Policy())
    assert http.receive(post(2, b"Expect: 100-continue\r\n")) is None
    assert http.awaiting_continue
    assert http.receive(b"x") is None
    assert not http.awaiting_continue
    must(http.receive(b"y"))


@pytest.mark.parametrize(
    "data",
    [
        post(2, b"Expect: 100-continue\r\n") + b"x",
        post(2),
        GET.replace(b"Host", b"Expect: 100-continue\r\nHost"),
    ],
)
def test_continue_is_not_awaited(data: bytes) -> None:
    http = connect(Policy())
    http.receive(data)
    assert not http.awaiting_continue


# Bodies larger than the buffer


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_handed_over_unfinished(chunked: bool) -> None:
    http = connect(Policy(request_buffer_size=10))
    content = bytes(range(48, 80))
    data = CHUNKED + b"20\r\n%b\r\n0\r\n\r\n" % content if chunked else post(32) + content
    data += GET
    body = None
    taken = b""
    for position in range(0, len(data), 7):
        request = http.receive(data[position : position + 7])
        if request is not None:
            assert body is None
            body = request.body
            assert http.unread_body
        if body is not None:
            taken += body.take()
            assert body.buffered == 0
    assert body is not None
    assert body.complete
    assert taken == content
    assert not http.unread_body
    must(http.next_request())
    assert http.next_request() is None


def test_body_bytes_in_the_busy_state_belong_to_the_body() -> None:
    http = connect(Policy(request_buffer_size=1))
    body = must(http.receive(post(6) + b"a")).body
    assert body is not None
    assert http.receive(b"bc") is None
    http.receive_body(b"def" + GET)
    assert body.take() == b"abcdef"
    must(http.next_request())


# After an error


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\n",
        b"(",
        post(1).replace(b"1\r\n\r\n", b"x\r\n\r\n"),
        CHUNKED + b"x\r\n",
    ],
)
@pytest.mark.parametrize("bytewise", [False, True])
def test_nothing_is_read_after_an_error(data: bytes, bytewise: bool) -> None:
    http = connect(Policy())
    pieces = [bytes([byte]) for byte in data] if bytewise else [data]
    with pytest.raises(errors.HTTPError):
        for piece in pieces:
            http.receive(piece)
    assert http.receive(GET) is None
    assert http.next_request() is None
    assert http.receive(GET) is None
    assert not http.idle


@pytest.mark.parametrize(
    ("policy", "broken", "error"),
    [
        (Policy(request_buffer_size=1), b"1\r\nx\r\nz\r\n", errors.InvalidChunkSize),
        (Policy(request_buffer_size=1, limit_request_body=2), b"2\r\nxy\r\n0\r\n\r\n",
         errors.LimitRequestBody),
    ],
)  # fmt: skip
def test_an_error_in_a_body_outlives_an_application_that_swallows_it(
    policy: Policy, broken: bytes, error: type[Exception]
) -> None:
    http = connect(policy)
    must(http.receive(CHUNKED + b"1\r\na\r\n"))
    with pytest.raises(error):
        http.receive_body(broken + GET)
    assert http.unread_body, "the connection must not be kept"
    with pytest.raises(errors.IncompleteBody):
        http.receive_body(b"0\r\n\r\n")
    assert http.next_request() is None


# The PROXY header and who may send it


def proxied(allow: str, peer: str) -> HTTPConnection:
    return connect(Policy(proxy_protocol="auto", proxy_allow=TrustedPeers([allow])), peer)


def test_the_proxy_header_comes_once_for_all_requests() -> None:
    http = proxied("10.0.0.1", "10.0.0.1")
    assert http.idle
    assert http.receive(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r") is None
    assert not http.idle
    assert http.receive(b"\n") is None
    assert http.idle
    for _ in range(2):
        assert must(http.receive(GET)).remote_addr == "1.2.3.4"
        http.next_request()


@pytest.mark.parametrize("method", [b"P", b"PRO", b"PROPFIND", b"PATCH"])
def test_a_stranger_whose_request_begins_like_a_proxy_header(method: bytes) -> None:
    http = proxied("10.0.0.1", "10.9.9.9")
    for byte in method:
        assert http.receive(bytes([byte])) is None
    if len(method) > 2:
        must(http.receive(GET[3:] if len(method) > 3 else b"PFIND" + GET[3:]))


# Cost


def in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


HUGE_HEAD = b"GET / HTTP/1.1\r\n" + b"X: %b\r\n" % (b"x" * 8000) * 90
MANY_FIELDS = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 30000
MANY_FOLDS = b"GET / HTTP/1.1\r\nX: y\r\n" + b" z\r\n" * 200000
MANY_CHUNKS = CHUNKED + b"1\r\nx\r\n" * 50000
BLANKS = b"GET / HTTP/1.1\r\nHost: a\r\nX:%b\x01\r\n\r\n" % (b" " * 500_000)
BLANK_TRAILER = CHUNKED + b"0\r\nX:%b\x01\r\n\r\n" % (b" " * 500_000)
UNBOUNDED = Policy(
    limit_request_line=0,
    limit_request_fields=0,
    limit_request_field_size=0,
    permit_obsolete_folding=True,
)


@pytest.mark.parametrize(
    ("policy", "data", "size"),
    [
        (Policy(), HUGE_HEAD, 1),
        (UNBOUNDED, MANY_FIELDS, 6),
        (UNBOUNDED, MANY_FOLDS, 4),
        (UNBOUNDED, MANY_FOLDS + b"\r\n", len(MANY_FOLDS) + 2),
        (UNBOUNDED, MANY_CHUNKS, 1),
        (UNBOUNDED, MANY_CHUNKS, 65536),
        (Policy(), post(300_000) + b"x" * 299_999, 1),
        (UNBOUNDED, BLANKS, len(BLANKS)),
        (UNBOUNDED, BLANK_TRAILER, len(BLANK_TRAILER)),
        (Policy(), b"".join(GET for _ in range(3000)), 100_000),
    ],
    ids=[
        "head byte by byte", "fields", "folds", "folds whole", "chunks byte by byte", "chunks",
        "body byte by byte", "blanks", "blanks in a trailer", "pipelined",
    ],
)  # fmt: skip
def test_cost_grows_with_the_input_only(policy: Policy, data: bytes, size: int) -> None:
    """What is quadratic takes minutes here; what is linear, well below a second or two."""
    http = connect(policy)
    before = time.process_time()
    # Some of these are refused in the end: only the time that takes is of interest.
    with contextlib.suppress(errors.HTTPError):
        for piece in in_pieces(data, size):
            http.receive(piece)
        while http.next_request() is not None:
            pass
    assert time.process_time() - before < 10


def test_an_accepted_field_of_many_blanks_is_listed_in_no_time() -> None:
    request = must(connect(UNBOUNDED).receive(BLANKS.replace(b"\x01", b"x").replace(b":x", b":")))
    before = time.process_time()
    assert request.headers[1][1].endswith("x")
    assert time.process_time() - before < 10


@pytest.mark.parametrize(
    ("data", "policy"),
    [
        (b"x" * 5000, Policy()),
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 9000, Policy()),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101, Policy()),
        (CHUNKED + b"1" + b";a" * 3000, Policy()),
        (CHUNKED + b"0\r\n" + b"X: y\r\n" * 101, Policy()),
        (b"GET / HTTP/1.1\r\nX: y\r\n" + b" \r\n" * 3000, Policy(permit_obsolete_folding=True)),
    ],
)
def test_no_buffer_grows_beyond_its_bound(data: bytes, policy: Policy) -> None:
    """The refusal comes before the end of what would never end."""
    http = connect(policy)
    with pytest.raises(errors.HTTPError) as raised:
        for piece in in_pieces(data, 3):
            http.receive(piece)
    assert raised.value.status in (400, 414, 431)


def test_a_client_does_not_grow_the_caches() -> None:
    policy = Policy()
    parser = HeadParser(policy)
    http = connect(policy, parser=lambda _policy: parser)
    for number in range(3000):
        must(http.receive(b"GET / HTTP/1.1\r\nHost: h%d\r\nX-%d: y\r\n\r\n" % (number, number)))
        http.next_request()
    assert len(parser.names) <= FieldNames.ROOM
    assert len(parser.hosts) <= Hosts.ROOM


def test_no_garbage_is_made_by_a_request() -> None:
    """Reference counts alone free a request: the collector has nothing to find."""
    http = connect(Policy())
    data = [GET, post(3) + b"abc", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", GET[:9], GET[9:]]

    def serve() -> None:
        for piece in data * 20:
            if http.receive(piece) is not None:
                http.next_request()
        for _ in range(20):
            with contextlib.suppress(errors.HTTPError):
                connect(Policy()).receive(b"GET / HTTP/1.1\r\n\r\n")

    serve()
    gc.collect()
    gc.disable()
    try:
        serve()
        assert gc.collect() == 0
    finally:
        gc.enable()
