"""What the figures of the balance are held against, and how they are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.balance import Arrival, Contender, Outcome

from benchmarks import balance, machine

HERE = machine.Machine("today", "a CPU", 2, 4.0, "Linux", "CPython 3", 0.1)
OURS = Contender("a", "of this tree", "no-such", Path("nowhere"), ("x",), ours=True)
OTHER = Contender("b", "of others", "no-such", Path("nowhere"), ("x",))


def test_one_queue_in_front_of_four_servers() -> None:
    slow = [Arrival(0.0, 0.2)] * 4
    assert balance.ideal([*slow, Arrival(0.1, 0.005)]) == pytest.approx([0.2] * 4 + [0.105])
    assert balance.ideal([*slow[1:], Arrival(0.1, 0.005)]) == pytest.approx([0.2] * 3 + [0.005])


def test_arrivals_are_the_same_for_all_and_as_many_as_they_should_be() -> None:
    requests = balance.arrivals(60.0, 1)
    assert requests == balance.arrivals(60.0, 1)
    busy = sum(each.service for each in requests) / 60.0 / balance.SERVERS
    assert busy == pytest.approx(balance.UTILISATION, rel=0.1)


@pytest.mark.parametrize(("factor", "failed", "met"), [(1.05, 0, 1), (1.2, 0, 0), (1.0, 1, 0)])
def test_the_page_says_whether_the_target_is_met(factor: float, failed: int, met: int) -> None:
    requests = balance.arrivals(5.0, 1)
    p50, p90, p99 = balance.percentiles(balance.ideal(requests))
    outcome = Outcome((p50, p90 * factor, p99 * factor), failed, 0)
    bad = Outcome((p50, p90 * 9, p99 * 9), 0, 3)
    text = balance.page(HERE, requests, 5.0, [(OURS, outcome), (OTHER, bad), (OTHER, None)])
    assert ("**met**" in text) == bool(met)
    assert ("missed by of this tree" in text) == (not met)
    assert f"| of this tree | {p50:.1f} |" in text
    assert "| of others | not installed |" in text
    assert "| 9.00 | 9.00 | 0 | 3 |" in text
