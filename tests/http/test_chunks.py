"""Bodies in chunks: what one call does is bounded, and so is what may be framing."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunicorn import compiled
from gunicorn.http import chunks
from gunicorn.http.chunks import (
    CHUNKS_AT_ONCE,
    FRAMING_RATIO,
    MAX_FRAMING,
    ChunkedDecoder,
    TakeChunks,
)
from gunicorn.http.errors import ExcessiveChunkFraming, InvalidTrailer, LimitRequestHeaders
from gunicorn.http.policy import Policy
from tests.http.corpus import load

TAKERS: dict[str, TakeChunks] = {"python": chunks.take_chunks}
if compiled.available():
    from gunicorn.http import _chunks

    TAKERS["compiled"] = _chunks.take_chunks


@pytest.fixture(params=TAKERS)
def take_chunks(request: pytest.FixtureRequest) -> TakeChunks:
    return TAKERS[request.param]


def decoded(decoder: ChunkedDecoder, pieces: Iterable[bytes]) -> tuple[bytes, bytes]:
    """The content, and what follows the body."""
    content = rest = b""
    for piece in pieces:
        if decoder.complete:
            rest += piece
            continue
        more, rest = decoder.decode(piece)
        content += more
        while decoder.behind:
            more, rest = decoder.decode(b"")
            content += more
    return content, rest


@pytest.mark.parametrize(
    ("data", "taken"),
    [
        (b"3\r\nabc\r\n", (b"abc", 8, 1)),
        (b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", (b"abcd", 14, 2)),
        (b"0000000000000003\r\nabc\r\nx", (b"abc", 23, 1)),
        (b"00000000000000003\r\nabc\r\n", (b"", 0, 0)),
        (b"a\r\n0123456789\r\nA\r\n0123456789\r\n", (b"0123456789" * 2, 30, 2)),
        (b"3\r\nabc\r", (b"", 0, 0)),
        (b"3\r\nabcd\r\n", (b"", 0, 0)),
        (b"3;x\r\nabc\r\n", (b"", 0, 0)),
        (b"3 \r\nabc\r\n", (b"", 0, 0)),
        (b"3\nabc\r\n", (b"", 0, 0)),
        (b"g\r\nabc\r\n", (b"", 0, 0)),
        (b"0\r\n\r\n", (b"", 0, 0)),
        (b"ffffffffffffffff\r\nabc\r\n", (b"", 0, 0)),
        (b"7fffffffffffffff\r\nabc\r\n", (b"", 0, 0)),
        (b"\r\n", (b"", 0, 0)),
        (b"3\r\n", (b"", 0, 0)),
        (b"3", (b"", 0, 0)),
        (b"", (b"", 0, 0)),
    ],
)
def test_plain_chunks_that_are_whole(
    take_chunks: TakeChunks, data: bytes, taken: tuple[bytes, int, int]
) -> None:
    assert take_chunks(data, 0, 100) == taken
    content, position, count = taken
    assert take_chunks(b"xyz" + data, 3, 100) == (content, position + 3, count)
    assert take_chunks(data, 0, 0) == (b"", 0, 0)


def test_no_more_than_so_many_are_taken(take_chunks: TakeChunks) -> None:
    assert take_chunks(b"1\r\na\r\n" * 9, 6, 5) == (b"a" * 5, 36, 5)


PIECES = st.lists(
    st.sampled_from(
        [b"1\r\na\r\n", b"3\r\nabc\r\n", b"10\r\n0123456789abcdef\r\n", b"0\r\n\r\n", b"0", b"\r\n",
         b"1;x\r\na\r\n", b"1", b"f" * 16, b"2\r\nab", b"\n", b"\r", b"0001\r\na\r\n"]
    )
    | st.binary(max_size=4),
    max_size=12,
)  # fmt: skip


@settings(deadline=None, derandomize=True, database=None, max_examples=500)
@given(pieces=PIECES, position=st.integers(0, 8), limit=st.integers(0, 6))
def test_both_take_the_same(pieces: list[bytes], position: int, limit: int) -> None:
    data = b"".join(pieces)
    position = min(position, len(data))
    answers = {name: take(data, position, limit) for name, take in TAKERS.items()}
    assert len(set(answers.values())) == 1, (data, answers)


def test_both_take_the_same_of_the_corpus() -> None:
    for case in load():
        for position in range(min(len(case.data), 2000)):
            answers = {take(case.data, position, 1000) for take in TAKERS.values()}
            assert len(answers) == 1, (case.place, position)


def test_a_call_looks_at_so_many_chunks_and_no_more(take_chunks: TakeChunks) -> None:
    count = 3 * CHUNKS_AT_ONCE
    for chunk in (b"1\r\na\r\n", b"1;x\r\na\r\n"):
        decoder = ChunkedDecoder(Policy(), take_chunks)
        content, rest = decoder.decode(chunk * count + b"0\r\n\r\nnext")
        assert len(content) == CHUNKS_AT_ONCE
        assert (rest, decoder.behind, decoder.complete) == (b"", True, False)
        assert decoder.held >= len(chunk) * (count - CHUNKS_AT_ONCE)
        assert decoded(decoder, [b"", b" one"]) == (b"a" * (count - CHUNKS_AT_ONCE), b"next one")
        assert (decoder.behind, decoder.complete, decoder.held) == (False, True, 0)


def test_a_call_looks_at_so_many_trailers_and_no_more(take_chunks: TakeChunks) -> None:
    decoder = ChunkedDecoder(Policy(limit_request_fields=0), take_chunks)
    count = CHUNKS_AT_ONCE + 10
    decoder.decode(b"0\r\n" + b"X: y\r\n" * count)
    assert decoder.behind
    assert len(decoder.trailers) < CHUNKS_AT_ONCE
    assert decoded(decoder, [b"", b"\r\n"]) == (b"", b"")
    assert decoder.trailers == [("X", "y")] * count
    assert decoder.held > count * 100


@pytest.mark.parametrize("size", [1 << 17, 1000, 6])
def test_a_body_that_is_next_to_nothing_but_framing_is_refused(
    take_chunks: TakeChunks, size: int
) -> None:
    data = b"1\r\na\r\n" * (MAX_FRAMING // 5 + 2 * CHUNKS_AT_ONCE)
    decoder = ChunkedDecoder(Policy(), take_chunks)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    with pytest.raises(ExcessiveChunkFraming):
        decoded(decoder, pieces)
    assert MAX_FRAMING < decoder.framing <= MAX_FRAMING + 5 * CHUNKS_AT_ONCE + 5


def test_framing_that_is_padded_is_refused(take_chunks: TakeChunks) -> None:
    decoder = ChunkedDecoder(Policy(), take_chunks)
    with pytest.raises(ExcessiveChunkFraming):
        decoded(decoder, [b"0000000000000002\r\nab\r\n" * 60_000])


def test_small_bodies_may_come_byte_by_byte(take_chunks: TakeChunks) -> None:
    """A library that writes character by character, and one that writes pairs for ever."""
    count = MAX_FRAMING // 5 - 1
    data = b"1\r\na\r\n" * count + b"0\r\n\r\n"
    decoder = ChunkedDecoder(Policy(), take_chunks)
    assert decoded(decoder, [data]) == (b"a" * count, b"")
    assert decoder.complete
    decoder = ChunkedDecoder(Policy(), take_chunks)
    assert FRAMING_RATIO > 5 / 2
    assert len(decoded(decoder, [b"2\r\nab\r\n" * 400_000])[0]) == 800_000


def test_what_is_framing_is_counted_alike_however_it_arrives(take_chunks: TakeChunks) -> None:
    data = b"5\r\nhello\r\n3;x=y\r\nabc\r\n00\r\nA: b\r\n\r\n"
    seen = set()
    for size in (1, 2, 7, 100):
        decoder = ChunkedDecoder(Policy(), take_chunks)
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        assert decoded(decoder, pieces) == (b"helloabc", b"")
        seen.add((decoder.framing, decoder.content_size, decoder.extensions))
    assert seen == {(5 + 9 + 4, 8, 4)}


def test_trailer_lines_in_pieces() -> None:
    """However a line is cut, it is the same line, and refused for the same."""
    policy = Policy(limit_request_field_size=30)
    line = b"X: " + b"y" * 27
    for end in range(len(line) + 1):
        decoder = ChunkedDecoder(policy)
        pieces = [b"0\r\n", line[:end], line[end:], b"\r", b"\n", b"\r\nnext"]
        assert decoded(decoder, pieces) == (b"", b"next")
        assert decoder.trailers == [("X", "y" * 27)]
    for pieces in ([line + b"y"], [line, b"y"], [line, b"y", b"\r\n"], [line, b"y\r"]):
        with pytest.raises(LimitRequestHeaders):
            decoded(ChunkedDecoder(policy), [b"0\r\n", *pieces])
    for pieces in ([b"X: \ry"], [b"X: ", b"\ry"], [b"X: \r", b"y"], [b"X: y", b"\n"]):
        with pytest.raises(InvalidTrailer):
            decoded(ChunkedDecoder(policy), [b"0\r\n", *pieces])
