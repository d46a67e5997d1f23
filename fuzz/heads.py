"""Fuzz target: the compiled head parser against its Python twin, on arbitrary bytes.

The first byte chooses the policy, whether the peer is trusted, and whether the parsers are new.
Both parsers live on from input to input, as they do in a worker, so that what they remember is
tried as well; the rest of the input is parsed twice, before and after its names are known.
"""

from __future__ import annotations

import random
import sys

import atheris

with atheris.instrument_imports(include=["gunicorn.http"]):
    from gunicorn.http import _head, head

from tests.http.twins import POLICIES, cut, told, told_of_pieces

SEEN = [(_head.HeadParser(policy), head.HeadParser(policy)) for policy in POLICIES]


def compare(data: bytes) -> None:
    """Raises AssertionError where the two differ."""
    if not data:
        return
    choice, data = data[0], data[1:]
    number = choice % len(POLICIES)
    trusted = bool(choice & 64)
    policy = POLICIES[number]
    fast, python = (
        (_head.HeadParser(policy), head.HeadParser(policy)) if choice & 128 else SEEN[number]
    )
    if not data:
        return
    for _ in range(2):
        one, other = told(fast, data, trusted=trusted), told(python, data, trusted=trusted)
        assert one == other, f"{policy}\n{data!r}\n{one}\n{other}"
    pieces = cut(data, random.Random(choice))
    one = told_of_pieces(fast, pieces, trusted=trusted)
    other = told_of_pieces(python, pieces, trusted=trusted)
    assert one == other, f"{policy}\n{pieces!r}\n{one}\n{other}"


if __name__ == "__main__":
    atheris.Setup(sys.argv, compare)
    atheris.Fuzz()
