"""The table of faults fits the tree: each can be put in, and the tests that see it are there."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest
from mutants.__main__ import SHARE, conclude
from mutants.entry import Mutation, Stale
from mutants.table import MUTATIONS
from mutants.trial import Verdict

ROOT = Path(__file__).parents[2]


@functools.cache
def names_in(path: Path) -> frozenset[str]:
    """The node ids of a file, without parameters: `test_x` and `TestX::test_x`."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            inner = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            found |= {node.name, *(f"{node.name}::{each.name}" for each in inner)}
    return frozenset(found)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: f"{each.file}: {each.effect}")
def test_it_applies(mutation: Mutation) -> None:
    mutated = mutation.mutated((ROOT / mutation.path).read_text())
    ast.parse(mutated)
    assert mutation.killers
    for killer in mutation.killers:
        path, _, name = killer.partition("::")
        assert (ROOT / path).is_file(), killer
        assert not name or name.partition("[")[0] in names_in(ROOT / path), killer


def test_there_are_a_hundred_and_none_twice() -> None:
    assert len(MUTATIONS) >= 100
    assert len({(each.file, each.old, each.new) for each in MUTATIONS}) == len(MUTATIONS)
    assert sum(each.required for each in MUTATIONS) >= 40


def test_what_does_not_fit_is_an_error_with_words() -> None:
    gone = Mutation("util.py", "what never was\n", "", "nothing", ("tests/x.py",))
    with pytest.raises(Stale, match=r"util\.py: this is there 0 times(?s:.*)what never was"):
        gone.mutated("text\n")
    with pytest.raises(Stale, match="2 times"):
        gone.mutated("what never was\n" * 2)


@pytest.mark.parametrize(
    ("killed", "survived", "required", "code"),
    [(9, 1, False, 0), (8, 1, False, 1), (99, 1, True, 1), (5, 0, True, 0)],
)
def test_survivors_fail(killed: int, survived: int, required: bool, code: int) -> None:
    """One in ten may survive, but none that is required."""
    assert SHARE == 0.9
    one = Mutation(MUTATIONS[0].file, MUTATIONS[0].old, "", "x", (), required=required)
    verdicts = [(one, Verdict.KILLED)] * killed + [(one, Verdict.SURVIVED)] * survived
    assert conclude(verdicts) == code
