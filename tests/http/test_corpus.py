"""Every case of the corpus: whole, byte by byte, in random pieces, and on both roads."""

from __future__ import annotations

import itertools
import random

import pytest

from gunicorn.http import errors
from gunicorn.http.head import HeadParser
from tests.http.corpus import CarefulParser, Case, compare, connect, load, make_policy, run

CASES = load()
PARSERS = [HeadParser, CarefulParser]


def split(data: bytes, places: list[int]) -> list[bytes]:
    borders = [0, *sorted(places), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(borders)]
    return [piece for piece in pieces if piece]


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.place} {case.name}")
def test_case(case: Case, parser: type[HeadParser]) -> None:
    policy = make_policy(case.settings)
    data = case.data
    compare(case, run(connect(policy, case.peer, parser), [data]))
    compare(case, run(connect(policy, case.peer, parser), [bytes([byte]) for byte in data]))
    chance = random.Random(case.name)
    for count in (1, 1, 2, 3, 5, 8):
        places = [chance.randrange(1, len(data)) for _ in range(count)]
        compare(case, run(connect(policy, case.peer, parser), split(data, places)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.place} {case.name}")
def test_both_roads_are_one(case: Case) -> None:
    policy = make_policy(case.settings)
    fast, careful = (run(connect(policy, case.peer, parser), [case.data]) for parser in PARSERS)
    assert fast == careful


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.place} {case.name}")
def test_split_once_at_every_place(case: Case) -> None:
    """Whatever the border, the outcome is that of the whole."""
    policy = make_policy(case.settings)
    data = case.data
    step = max(len(data) // 200, 1)
    for place in range(1, len(data), step):
        compare(case, run(connect(policy, case.peer), [data[:place], data[place:]]))


def test_every_error_of_the_client_is_in_the_corpus() -> None:
    expected = {outcome.line.split(" ")[1] for case in CASES for outcome in case.outcomes
                if outcome.line.startswith("error ")}  # fmt: skip
    classes = {
        each.__name__
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.HTTPError)
    }
    # Roots of others; what comes of waiting or of the configuration, not of bytes; and what takes a
    # megabyte of them (test_chunks.py).
    elsewhere = {"HTTPError", "ParseException", "RequestTimeout", "BodyTimeout", "IncompleteBody",
                 "NoMoreData", "ConfigurationProblem", "ExcessiveChunkFraming"}  # fmt: skip
    assert classes - expected == elsewhere


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 250
