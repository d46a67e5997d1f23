"""Fuzz target: a chunked body in one piece, and the same in pieces.

The first bytes choose the policy and where the pieces end. Content, trailers and what follows the
body have to be the same, and a body is refused in pieces if it is refused whole. Which of two
broken rules is named may depend on the pieces, since the first to arrive is.
"""

from __future__ import annotations

import random
import sys

import atheris

with atheris.instrument_imports(include=["gunicorn.http"]):
    from gunicorn.http.body import ChunkedDecoder
    from gunicorn.http.errors import HTTPError

from tests.http.twins import POLICIES, cut


def decoded(pieces: list[bytes], number: int) -> tuple[object, ...]:
    """(content, trailers, rest, whether the body is complete), or the refusal."""
    decoder = ChunkedDecoder(POLICIES[number])
    content = rest = b""
    try:
        for piece in pieces:
            if decoder.complete:
                rest += piece
            else:
                more, rest = decoder.decode(piece)
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
    whole = decoded([data], number)
    for pieces in (cut(data, random.Random(seed)), [bytes([byte]) for byte in data[:600]]):
        if sum(map(len, pieces)) < len(data):
            pieces.append(data[600:])
        seen = decoded(pieces, number)
        if whole[0] == seen[0] == "refused":
            continue
        assert seen == whole, f"{pieces!r}\n{whole}\n{seen}"


if __name__ == "__main__":
    atheris.Setup(sys.argv, compare)
    atheris.Fuzz()
