"""The response side of PEP 3333: start_response, write, blocks, lengths, files."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gunicorn.http.response import InvalidResponse, ResponseRenderer
from gunicorn.http.wsgi import FileWrapper
from gunicorn.http.wsgi import Response as CompatibleResponse
from gunicorn.wsgi.response import JOIN_BELOW, Response, is_complete
from tests.http.corpus import connect, make_policy
from tests.wsgi.doubles import FakeSink

PLAIN = [("Content-Type", "text/plain")]


def make(
    method: str = "GET", version: str = "1.1", keep_alive: bool = True
) -> tuple[Response, FakeSink]:
    data = f"{method} / HTTP/{version}\r\nHost: a\r\n\r\n".encode()
    request = connect(make_policy({})).receive(data)
    assert request is not None
    sink = FakeSink()
    return Response(request, sink, ResponseRenderer(), keep_alive), sink


def started(
    *fields: tuple[str, str], status: str = "200 OK", **request: Any
) -> tuple[Response, FakeSink]:
    response, sink = make(**request)
    response.start_response(status, list(fields))
    return response, sink


def body_of(sink: FakeSink) -> bytes:
    return sink.sent.partition(b"\r\n\r\n")[2]


def head_of(sink: FakeSink) -> bytes:
    return sink.sent.partition(b"\r\n\r\n")[0].lower() + b"\r\n"


# start_response


def test_start_response_sends_nothing_and_returns_write() -> None:
    response, sink = make()
    write = response.start_response("404 Not Found", PLAIN)
    assert sink.sent == b""
    assert (response.status, response.status_code) == ("404 Not Found", 404)
    assert response.headers == PLAIN
    assert not response.headers_sent
    write(b"x")
    assert response.headers_sent
    assert sink.sent.startswith(b"HTTP/1.1 404 Not Found\r\n")


def test_status_code_before_start_response() -> None:
    assert make()[0].status_code == 0


def test_start_response_twice() -> None:
    response, _ = started()
    with pytest.raises(AssertionError, match="exc_info"):
        response.start_response("500 X", [])
    assert response.status == "200 OK"


def exc_info() -> Any:
    try:
        return 1 // 0
    except ZeroDivisionError:
        return sys.exc_info()


def test_exc_info_replaces_a_head_that_is_not_sent() -> None:
    response, sink = started(("X-Old", "1"))
    response.start_response("500 Oops", [("X-New", "2")], exc_info())
    response.send_whole(b"sorry")
    assert sink.sent.startswith(b"HTTP/1.1 500 Oops\r\n")
    assert b"x-new: 2" in head_of(sink)
    assert b"x-old" not in head_of(sink)


def test_exc_info_is_raised_when_the_head_is_sent() -> None:
    response, sink = started()
    response.write(b"x")
    before = sink.sent
    with pytest.raises(ZeroDivisionError, match="by zero"):
        response.start_response("500 Oops", [], exc_info())
    assert sink.sent == before
    assert response.status == "200 OK"


def test_exc_info_with_the_first_call() -> None:
    response, _ = make()
    response.start_response("500 Oops", [], exc_info())
    assert response.status_code == 500


@pytest.mark.parametrize(
    "status", [b"200 OK", 200, None, "200 OK\r\nX: y", "100 Continue", "103 X"]
)
def test_a_status_that_is_refused(status: Any) -> None:
    response, sink = make()
    with pytest.raises(InvalidResponse):
        response.start_response(status, [])
    assert response.fields is None
    response.start_response("200 OK", [])
    response.send_whole(b"")
    assert sink.sent.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("call", ["send_whole", "write", "finish"])
def test_no_start_response(call: str) -> None:
    response, sink = make()
    with pytest.raises(AssertionError, match="start_response"):
        getattr(response, call)(*() if call == "finish" else (b"x",))
    assert sink.sent == b""


# Bodies


def test_one_piece_is_one_send_with_its_length() -> None:
    response, sink = started(*PLAIN)
    response.send_whole(b"hello")
    assert sink.calls == ["send"]
    assert b"content-length: 5\r\n" in head_of(sink)
    assert body_of(sink) == b"hello"
    assert (response.sent, response.response_length, response.keep_alive) == (5, 5, True)
    assert not response.short


def test_a_large_piece_is_not_copied() -> None:
    response, sink = started()
    response.send_whole(b"x" * (JOIN_BELOW + 1))
    assert sink.calls == ["send_parts"]
    response, sink = started()
    response.write(b"x" * (JOIN_BELOW + 1))
    assert sink.calls == ["send_parts"]


def test_several_pieces_there_already() -> None:
    response, sink = started()
    response.send_pieces([b"a", b"", b"bc"])
    assert body_of(sink) == b"abc"
    assert b"content-length: 3\r\n" in head_of(sink)


@pytest.mark.parametrize("send", [
    lambda response: response.send_whole(b""),
    lambda response: response.send_pieces([]),
    lambda response: response.finish(),
])  # fmt: skip
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_empty_body(send: Callable[[Response], None], version: str) -> None:
    response, sink = started(version=version)
    send(response)
    assert b"content-length: 0\r\n" in head_of(sink)
    assert body_of(sink) == b""
    assert response.keep_alive


def test_blocks_of_unknown_number_are_chunks() -> None:
    response, sink = started()
    for block in (b"ab", b"", b"c" * 20):
        response.write(block)
    response.finish()
    assert b"transfer-encoding: chunked\r\n" in head_of(sink)
    assert body_of(sink) == b"2\r\nab\r\n14\r\n" + b"c" * 20 + b"\r\n0\r\n\r\n"
    assert (response.sent, response.response_length, response.keep_alive) == (22, None, True)


def test_blocks_to_http_1_0_end_with_the_connection() -> None:
    response, sink = started(version="1.0")
    response.write(b"ab")
    response.write(b"c")
    response.finish()
    assert b"connection: close\r\n" in head_of(sink)
    assert body_of(sink) == b"abc"
    assert not response.keep_alive


def test_write_then_a_piece() -> None:
    response, sink = started()
    response.write(b"a")
    response.send_whole(b"b")
    assert body_of(sink) == b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"


def test_writing_nothing_sends_the_head() -> None:
    response, sink = started()
    response.write(b"")
    assert response.headers_sent
    response.finish()
    assert body_of(sink) == b"0\r\n\r\n"


@pytest.mark.parametrize("blocks", [[b"abcdef"], [b"abc", b"def"], [b"a", b"b", b"c", b"d"]])
@pytest.mark.parametrize("whole", [False, True])
def test_a_body_longer_than_announced_is_cut(blocks: list[bytes], whole: bool) -> None:
    """What is beyond would be taken for the next response."""
    response, sink = started(("Content-Length", "3"))
    if whole:
        response.send_pieces(blocks)
    else:
        for block in blocks:
            response.write(block)
        response.finish()
    assert body_of(sink) == b"abc"
    assert (response.sent, response.short, response.keep_alive) == (3, False, True)


@pytest.mark.parametrize("blocks", [[], [b"abc"], [b"a", b"b"]])
@pytest.mark.parametrize("whole", [False, True])
def test_a_body_shorter_than_announced_ends_the_connection(
    blocks: list[bytes], whole: bool
) -> None:
    response, sink = started(("Content-Length", "5"))
    if whole:
        response.send_pieces(blocks)
    else:
        for block in blocks:
            response.write(block)
        response.finish()
    assert b"content-length: 5\r\n" in head_of(sink)
    assert body_of(sink) == b"".join(blocks)
    assert (response.short, response.keep_alive) == (True, False)


@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", "200 OK"), ("GET", "204 X"), ("GET", "304 X"), ("GET", "205 X"), ("HEAD", "304 X")],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("whole", [False, True])
def test_responses_without_body(method: str, status: str, version: str, whole: bool) -> None:
    response, sink = started(("Content-Length", "6"), status=status, method=method, version=version)
    if whole:
        response.send_pieces([b"abc", b"def"])
    else:
        response.write(b"abc")
        response.write(b"def")
        response.finish()
    assert body_of(sink) == b""
    assert (response.sent, response.short, response.keep_alive) == (0, False, True)
    length = {"204": None, "205": b"0"}.get(status[:3], b"6")
    assert (length is None) == (b"content-length" not in head_of(sink))
    assert length is None or b"content-length: " + length + b"\r\n" in head_of(sink)


@pytest.mark.parametrize("block", ["text", bytearray(b"x"), None, 1, ["x"]])
def test_blocks_that_are_no_bytes(block: Any) -> None:
    for call in ("send_whole", "write"):
        response, sink = started()
        with pytest.raises(InvalidResponse, match="bytes"):
            getattr(response, call)(block)
        assert sink.sent == b"", "the error page can still be sent"
    if not isinstance(block, bytearray):
        with pytest.raises(InvalidResponse, match="bytes"):
            started()[0].send_pieces([b"a", block])


def test_switching_protocols_hands_the_connection_over() -> None:
    response, sink = started(("Upgrade", "x"), ("Connection", "Upgrade"), status="101 X")
    response.write(b"raw")
    response.write(b"bytes")
    response.finish()
    assert body_of(sink) == b"rawbytes"
    assert not response.keep_alive


def test_connection_close_of_the_application() -> None:
    response, sink = started(("Connection", "close"))
    response.send_whole(b"x")
    assert not response.keep_alive
    assert head_of(sink).count(b"connection: close\r\n") == 1


def test_abandon() -> None:
    response, _ = started()
    response.abandon()
    assert (response.aborted, response.keep_alive) == (True, False)


def test_a_response_is_freed_without_the_collector() -> None:
    class Watched(Response):
        __slots__ = ("__weakref__",)

    plain, _ = make()
    gc.disable()
    try:
        response = Watched(plain.request, FakeSink(), plain.renderer, True)
        response.start_response("200 OK", PLAIN)(b"x")
        with pytest.raises(ZeroDivisionError):
            response.start_response("500 X", [], exc_info())
        seen = weakref.ref(response)
        del response
        assert seen() is None
    finally:
        gc.enable()


def test_what_counts_as_complete() -> None:
    assert is_complete([b""])
    assert is_complete(())
    assert not is_complete(iter([]))
    assert not is_complete(b"")


def test_compatible_names() -> None:
    assert CompatibleResponse is Response
    assert FileWrapper.__module__ == "gunicorn.wsgi.file_wrapper"


# Files


def send_file(response: Response, path: Path, offset: int = 0) -> tuple[bool, list[int]]:
    done: list[int] = []
    with path.open("rb") as file:
        file.seek(offset)
        given = FileWrapper(file).file_range()
        assert given is not None
        result = response.send_file(given, lambda: done.append(1))
    return result, done


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return path


def test_a_file_is_sent_by_the_kernel(path: Path) -> None:
    response, sink = started()
    assert send_file(response, path, 3) == (True, [1])
    assert body_of(sink) == b"3456789"
    assert b"content-length: 7\r\n" in head_of(sink)
    assert (response.sent, response.short, response.keep_alive) == (7, False, True)


def test_a_file_up_to_the_announced_length(path: Path) -> None:
    response, sink = started(("Content-Length", "4"))
    assert send_file(response, path) == (True, [1])
    assert body_of(sink) == b"0123"
    assert response.keep_alive


def test_a_file_shorter_than_announced(path: Path) -> None:
    response, _ = started(("Content-Length", "40"))
    assert send_file(response, path) == (True, [1])
    assert (response.sent, response.short, response.keep_alive) == (10, True, False)


def test_a_file_that_shrinks_while_it_is_sent(path: Path) -> None:
    response, sink = started()
    sink.file_limit = 2
    assert send_file(response, path) == (True, [1])
    assert (response.sent, response.short, response.keep_alive) == (2, True, False)


def test_a_file_that_the_client_does_not_take(path: Path) -> None:
    response, sink = started()
    sink.file_limit = 2
    sink.loses_client = True
    assert send_file(response, path) == (True, [1])
    assert (response.sent, response.short, response.aborted) == (2, False, True)
    assert not response.keep_alive


@pytest.mark.parametrize("kind", [{"method": "HEAD"}, {"status": "304 X"}, {"status": "204 X"}])
def test_a_file_that_is_not_to_be_sent(path: Path, kind: dict[str, str]) -> None:
    response, sink = started(**kind)
    assert send_file(response, path) == (True, [1])
    assert body_of(sink) == b""
    assert sink.calls == ["send"]


def test_a_file_where_blocks_are_better(path: Path) -> None:
    response, _ = started()
    response.write(b"x")
    assert send_file(response, path) == (False, [])
    response, sink = started()
    sink.can_send_files = False
    assert send_file(response, path) == (False, [])
    assert send_file(make()[0], path) == (False, [])
    assert sink.sent == b""
