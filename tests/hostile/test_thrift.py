"""When a worker gives memory back to the system."""

from __future__ import annotations

from gunicorn.workers.thrift import CROWD, LOOKS, Thrift


def thrift() -> tuple[Thrift, list[int]]:
    """One that notes when it trims, instead."""
    trimmed: list[int] = []
    watched = Thrift()
    watched.trim = trimmed.append
    return watched, trimmed


def test_whenever_most_of_a_crowd_has_gone_and_once_more_in_the_end() -> None:
    watched, trimmed = thrift()
    for connections in (CROWD, 10 * CROWD, 6 * CROWD):
        watched.look(connections)
    assert not trimmed
    watched.look(5 * CROWD)
    watched.look(3 * CROWD)
    assert len(trimmed) == 1
    watched.look(CROWD)
    assert len(trimmed) == 2
    watched.look(10)
    assert len(trimmed) == 3
    for left in reversed(range(LOOKS)):
        assert len(trimmed) == 3
        watched.look(left)
    assert len(trimmed) == 4, "what the last ten have left"
    for _ in range(10 * LOOKS):
        watched.look(0)
    assert len(trimmed) == 4


def test_a_few_are_no_crowd() -> None:
    watched, trimmed = thrift()
    for connections in [CROWD - 1, 0] * LOOKS * 2:
        watched.look(connections)
    assert not trimmed
