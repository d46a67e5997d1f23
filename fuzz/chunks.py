"""Fuzz target: a chunked body in one piece, and the same in pieces, compiled and in Python.

The first bytes choose the policy and where the pieces end. Content, trailers and what follows the
body have to be the same, and a body is refused in pieces if it is refused whole. Which of two
broken rules is named may depend on the pieces, since the first to arrive is. The plain chunks that
the compiled module takes are those that its twin takes, wherever it begins.
"""

from __future__ import annotations

import random
import sys

import atheris

with atheris.instrument_imports(include=["gunicorn.http"]):
    from gunicorn.http import _chunks
    from gunicorn.http.chunks import ChunkedDecoder, TakeChunks, take_chunks
    from gunicorn.http.errors import HTTPError

from tests.http.twins import POLICIES, cut


def decoded(pieces: list[bytes], number: int, take: TakeChunks = take_chunks) -> tuple[object, ...]:
    """(content, trailers, rest, whether the body is complete), or the refusal."""
    decoder = ChunkedDecoder(POLICIES[number], take)
    content = rest = b""
    try:
        for piece in pieces:
            if decoder.complete:
                rest += piece
            else:
                more, rest = decoder.decode(piece)
                content += more
                while decoder.behind:
                    more, rest = decoder.decode(b"")
                    content += more
                assert len(decoder.pending) <= 70_000
    except HTTPError as error:
        return ("refused", error.status)
    return content, decoder.trailers, rest, decoder.complete


def compare(data: bytes) -> None:
    """Raises AssertionError where the two differ."""
    if len(data) < 3:
        return
    number, seed, data = data[0] % len(POLICIES), data[1], data[2:]
    for start in range(min(len(data), 40)):
        assert take_chunks(data, start, 9) == _chunks.take_chunks(data, start, 9), data[start:]
    whole = decoded([data], number)
    assert decoded([data], number, _chunks.take_chunks) == whole, data
    for pieces in (cut(data, random.Random(seed)), [bytes([byte]) for byte in data[:600]]):
        if sum(map(len, pieces)) < len(data):
            pieces.append(data[600:])
        seen = decoded(pieces, number, _chunks.take_chunks)
        if whole[0] == seen[0] == "refused":
            continue
        assert seen == whole, f"{pieces!r}\n{whole}\n{seen}"


if __name__ == "__main__":
    atheris.Setup(sys.argv, compare)
    atheris.Fuzz()
