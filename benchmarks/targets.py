"""The figures to reach, as data, and whether they are.

Each is a ratio of two figures of the same run, so that it holds on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .measure import Cell
from .memory import KINDS, SIZES, Memory
from .servers import BY_KEY

BEST_PEER = "best peer"

Cells = Mapping[str, Mapping[str, Cell]]
"""Scenario -> server -> what it did."""


@dataclass(frozen=True)
class Target:
    """`server`'s figure over that of `against`: at most (CPU) or at least (rate) `bound`."""

    scenario: str
    against: str
    """A server, or BEST_PEER: the one with the best figure among those that are not ours."""
    bound: float
    figure: Literal["cpu", "rate"] = "cpu"
    server: str = "ours"

    @property
    def text(self) -> str:
        """The target in words."""
        what = "CPU a request" if self.figure == "cpu" else "throughput"
        who = "" if self.server == "ours" else f" of {BY_KEY[self.server].title}"
        against = self.against if self.against == BEST_PEER else BY_KEY[self.against].title
        return f"{what}{who} / {against}"


TARGETS: tuple[Target, ...] = (
    Target("hello-browser", "fastwsgi", 0.80),
    Target("hello-browser", "bjoern", 0.70),
    Target("hello-browser", "granian", 0.55),
    Target("hello-browser", "pypi-sync", 0.05),
    Target("hello-browser", "floor", 1.6),
    Target("hello-browser", "granian", 0.9, server="ours-pure"),
    Target("hello-minimal", "fastwsgi", 1.0),
    Target("hello-minimal", "bjoern", 1.0),
    Target("access-log", "ours", 1.35, server="ours-log"),
    Target("response-1m", BEST_PEER, 1.0, figure="rate"),
    Target("file-10m", BEST_PEER, 1.0, figure="rate"),
    Target("flask", BEST_PEER, 1.0),
    Target("threads", "granian-4", 1.0, server="ours-gthread"),
    Target("threads", "pypi-gthread-4", 0.12, server="ours-gthread"),
    Target("gevent", "pypi-gevent", 0.35, server="ours-gevent"),
    Target("gevent-fresh", "pypi-gevent", 0.35, server="ours-gevent"),
)

MEMORY_BOUND = 1.05
"""Peak memory with the largest response over that with the smallest, at most: it does not grow, but
two processes are never of quite the same size."""


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured."""

    scenario: str
    text: str
    bound: str
    measured: float | None
    """None when a figure is missing."""
    met: bool | None
    note: str = ""

    @property
    def outcome(self) -> str:
        """Met, missed or not measured, in words."""
        if self.met is None:
            return f"not measured: {self.note}"
        return "met" if self.met else "**missed**"


def judge(target: Target, cells: Cells) -> Verdict:
    """Compare one target with the figures."""
    row = cells.get(target.scenario, {})
    sign = "≤" if target.figure == "cpu" else "≥"
    bound = f"{sign} {target.bound:g}"

    def verdict(measured: float | None, met: bool | None, note: str = "") -> Verdict:
        return Verdict(target.scenario, target.text, bound, measured, met, note)

    def figure_of(server: str) -> float | None:
        cell = row.get(server)
        if cell is None:
            return None
        return cell.cpu if target.figure == "cpu" else cell.rate

    against, note = target.against, ""
    if against == BEST_PEER:
        figures = {
            server: figure
            for server in row
            if BY_KEY[server].peer and (figure := figure_of(server)) is not None
        }
        if not figures:
            return verdict(None, None, "no peer has a figure")
        choose = min if target.figure == "cpu" else max
        against = choose(figures, key=lambda server: figures[server])
        note = BY_KEY[against].title
    ours, theirs = figure_of(target.server), figure_of(against)
    for server, figure in ((target.server, ours), (against, theirs)):
        if figure is None:
            cell = row.get(server)
            why = "not in this run" if cell is None else cell.failure or "no figure"
            return verdict(None, None, f"{BY_KEY[server].title}: {why}")
    assert ours is not None and theirs is not None
    ratio = ours / theirs
    met = ratio <= target.bound if target.figure == "cpu" else ratio >= target.bound
    return verdict(ratio, met, note)


def judge_memory(memory: Memory) -> list[Verdict]:
    """Whether peak memory stays the same whatever the response's size."""
    verdicts = []
    small, large = min(SIZES), max(SIZES)
    for kind in KINDS:
        peaks = {peak.size: peak.peak for peak in memory.peaks if peak.kind == kind}
        text = f"peak memory, {kind}: {large} MiB / {small} MiB"
        ratio = peaks[large] / peaks[small] if small in peaks and large in peaks else None
        verdicts.append(
            Verdict(
                "memory",
                text,
                f"≤ {MEMORY_BOUND:g}",
                ratio,
                None if ratio is None else ratio <= MEMORY_BOUND,
                "; ".join(memory.failures) if ratio is None else "",
            )
        )
    return verdicts


def judge_all(cells: Cells, memory: Memory | None) -> list[Verdict]:
    """Every target."""
    verdicts = [judge(target, cells) for target in TARGETS]
    return verdicts if memory is None else verdicts + judge_memory(memory)
