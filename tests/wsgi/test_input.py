"""`wsgi.input` while the body arrives, with io.BytesIO as the model of what a file does."""

from __future__ import annotations

import io
import random
import time
from typing import Any

import pytest

from gunicorn.http.body import Body, LengthDecoder
from gunicorn.http.chunks import ChunkedDecoder
from gunicorn.http.errors import BodyTimeout, IncompleteBody, InvalidChunkSize
from gunicorn.http.policy import Policy
from gunicorn.wsgi.input import EmptyInput, StreamInput
from tests.wsgi.doubles import FakeSource


def pieces_of(data: bytes, chance: random.Random, largest: int) -> list[bytes]:
    pieces = []
    while data:
        size = chance.randint(1, largest)
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def stream(content: bytes, chance: random.Random, *, chunked: bool, largest: int) -> StreamInput:
    """An input over `content`, some of which is there already, the rest coming in pieces."""
    if chunked:
        chunks = pieces_of(content, chance, largest)
        data = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n"
        body = Body(ChunkedDecoder(Policy()), 0)
    else:
        data = content
        body = Body(LengthDecoder(len(content)), 0)
    pieces = pieces_of(data, chance, largest)
    begun = chance.randint(0, len(pieces))
    for piece in pieces[:begun]:
        assert body.feed(piece) == b""
    return StreamInput(body, FakeSource(body, pieces[begun:]))


def random_content(chance: random.Random) -> bytes:
    lines = [b"x" * chance.choice([0, 1, 3, 50, 5000]) for _ in range(chance.randrange(12))]
    return b"\n".join(lines) + chance.choice([b"", b"\n"])


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_any_sequence_of_calls_does_what_a_file_does(seed: int, chunked: bool) -> None:
    chance = random.Random(seed)
    content = random_content(chance)
    model = io.BytesIO(content)
    subject = stream(content, chance, chunked=chunked, largest=chance.choice([1, 7, 100, 9000]))
    sizes = [None, -1, 0, 1, 2, 10, 49, 50, 51, 4000, 10**9]
    for _ in range(200):
        call = chance.choice(["read", "readline", "readline", "readlines", "next", "read1"])
        size: Any = chance.choice(sizes[2:] if chance.random() < 0.9 else sizes)
        if call == "next":
            assert next(iter(subject), None) == next(iter(model), None)
        elif call == "read1":
            # It may return less than asked for, but nothing only at the end.
            data = subject.read1(size)
            assert data == model.read(len(data))
            assert data or size == 0 or not model.read(1)
            assert size is None or size < 0 or len(data) <= size
        else:
            assert getattr(subject, call)(size) == getattr(model, call)(size), (call, size)
    assert subject.read() == model.read()
    assert subject.read() == subject.readline() == subject.read1() == b""
    assert subject.readlines() == list(subject) == []


@pytest.mark.parametrize("chunked", [False, True])
def test_iteration_gives_lines(chunked: bool) -> None:
    content = b"a\n\nbc\nd"
    subject = stream(content, random.Random(1), chunked=chunked, largest=2)
    assert list(subject) == [b"a\n", b"\n", b"bc\n", b"d"]


def test_without_arguments_everything_is_read() -> None:
    content = b"x\ny" * 5000
    chance = random.Random(5)
    assert stream(content, chance, chunked=False, largest=99).read() == content
    assert stream(content, chance, chunked=True, largest=99).readlines() == content.splitlines(True)


def test_it_is_a_file_to_those_who_wrap_it() -> None:
    subject = stream(b"a\nb\n" * 100, random.Random(2), chunked=True, largest=9)
    assert subject.readable()
    assert not subject.writable()
    whole: Any = subject
    assert io.TextIOWrapper(whole).read() == "a\nb\n" * 100
    buffer = bytearray(4)
    assert stream(b"abc", random.Random(3), chunked=False, largest=1).readinto(buffer) == 3


@pytest.mark.parametrize("call", ["read", "readline", "readlines", "read1"])
def test_a_body_that_is_cut_short_raises(call: str) -> None:
    body = Body(LengthDecoder(10), 0)
    subject = StreamInput(body, FakeSource(body, [b"abc"]))
    with pytest.raises(IncompleteBody):
        for _ in range(2):
            getattr(subject, call)()


@pytest.mark.parametrize("error", [BodyTimeout("silence"), InvalidChunkSize("z")])
def test_what_the_source_raises_comes_through(error: Exception) -> None:
    class Failing:
        def receive_more(self) -> None:
            raise error

    subject = StreamInput(Body(LengthDecoder(10), 0), Failing())
    with pytest.raises(type(error)):
        subject.read(1)


def test_an_endless_line_costs_as_much_as_it_is_long() -> None:
    """20,000 pieces without a line break; what is quadratic copies terabytes here."""
    piece = b"x" * 4096
    body = Body(LengthDecoder(20_000 * len(piece)), 0)
    subject = StreamInput(body, FakeSource(body, [piece] * 20_000))
    before = time.process_time()
    assert len(subject.readline()) == 20_000 * len(piece)
    assert time.process_time() - before < 10


def test_the_input_of_a_request_without_a_body() -> None:
    empty = EmptyInput()
    assert empty.read() == empty.read(5) == empty.readline() == empty.readline(5) == b""
    assert empty.readlines() == empty.readlines(5) == list(empty) == []
    empty.close()
    assert empty.read() == b""


def test_pieces_are_kept_together_and_in_order() -> None:
    body = Body(LengthDecoder(30_000), 0)
    parts = [b"a", b"b" * 5000, b"c", b"d" * 10, b"e" * 4096, b"f"]
    for part in parts:
        body.feed(part)
    assert len(body.pieces) < len(parts)
    assert (body.buffered, body.received) == (9109, 9109)
    taken = body.take()
    assert taken == b"".join(parts)
    assert type(taken) is bytes
    assert (body.take(), body.buffered, body.received) == (b"", 0, 9109)
