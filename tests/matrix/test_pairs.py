"""The table of the matrix: every two values that can meet do, and no others."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from tests.matrix.deployments import DIMENSIONS, allowed, deployments
from tests.matrix.pairs import table


def test_every_two_values_that_can_meet_do() -> None:
    rows = [vars(deployment) for deployment in deployments()]
    for (one, firsts), (two, seconds) in itertools.combinations(DIMENSIONS.items(), 2):
        met = Counter((row[one], row[two]) for row in rows)
        for first, second in itertools.product(firsts, seconds):
            possible = allowed({one: first, two: second})
            assert (met[first, second] > 0) == possible, (one, first, two, second)
    assert all(map(allowed, rows))


def test_the_table_is_small_and_the_same_in_every_process() -> None:
    """pytest-xdist wants the same tests in the same order from each."""
    rows = [vars(deployment) for deployment in deployments()]
    assert rows == table(DIMENSIONS, allowed)
    assert len(set(map(str, rows))) == len(rows)
    stacks, logs = len(DIMENSIONS["stack"]), len(DIMENSIONS["logs"])
    assert stacks * logs <= len(rows) <= stacks * logs * 1.3


def test_values_that_never_meet_must_be_told() -> None:
    """Here no value of c goes with an a and a b that differ."""
    dimensions = {"a": "12", "b": "12", "c": "12"}
    with pytest.raises(ValueError, match="fits into no row"):
        table(dimensions, lambda row: "c" not in row or set(row.values()) == {row["c"]})
