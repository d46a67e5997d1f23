"""All pairs: a table in which every two values that can meet do meet, in few rows.

Most faults of configurations are faults of two settings, so this finds nearly what every
combination of everything would find, with a hundred rows in place of tens of thousands.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence

Row = dict[str, str]
Pair = tuple[tuple[str, str], tuple[str, str]]

CANDIDATES = 8
"""Rows that are tried for each row of the table; the one with most new pairs is taken."""


def table(
    dimensions: Mapping[str, Sequence[str]], allowed: Callable[[Row], bool], seed: int = 0
) -> list[Row]:
    """Rows with one value of each dimension, the same at each call.

    `allowed` gets rows that may be incomplete, and says whether they can be completed as far as it
    can tell; no row of the table is one that it refuses.
    """
    chance = random.Random(seed)
    missing = [
        pair
        for one, two in itertools.combinations(dimensions, 2)
        for pair in itertools.product(
            [(one, value) for value in dimensions[one]], [(two, value) for value in dimensions[two]]
        )
        if allowed(dict(pair))
    ]
    rows: list[Row] = []
    while missing:
        wanted = set(missing)
        found = [
            complete(missing[0], dimensions, allowed, wanted, chance) for _ in range(CANDIDATES)
        ]
        best = max(found, key=lambda row: len(wanted & pairs_of(row, dimensions)))
        rows.append(best)
        met = pairs_of(best, dimensions)
        if missing[0] not in met:
            raise ValueError(f"{missing[0]} fits into no row, and `allowed` does not say so")
        missing = [pair for pair in missing if pair not in met]
    return rows


def pairs_of(row: Row, dimensions: Mapping[str, Sequence[str]]) -> set[Pair]:
    """The pairs that meet in a row, in the order of the dimensions."""
    return set(itertools.combinations([(name, row[name]) for name in dimensions if name in row], 2))


def complete(
    pair: Pair,
    dimensions: Mapping[str, Sequence[str]],
    allowed: Callable[[Row], bool],
    wanted: set[Pair],
    chance: random.Random,
) -> Row:
    """A whole row with `pair`, value by value the one that brings the most of what is wanted."""
    row = dict(pair)
    names = [name for name in dimensions if name not in row]
    chance.shuffle(names)
    for name in names:
        values = [value for value in dimensions[name] if allowed({**row, name: value})]
        if not values:
            return {}
        chance.shuffle(values)
        row[name] = max(
            values, key=lambda value: len(wanted & pairs_of({**row, name: value}, dimensions))
        )
    return {name: row[name] for name in dimensions}
