"""The chart: CPU time for a request, a bar for each server, a panel for each of two scenarios."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from .report import Results
from .scenarios import BY_KEY as SCENARIOS

PANELS = ("hello-browser", "flask")
OURS, OTHERS, FLOOR = "#2f7d4f", "#9aa5b1", "#d5dae0"
CUT = 6.0
"""A bar ends at this many times ours, with its figure beside it: else one slow server would leave
nothing to see of the others."""


def draw(results: Results, path: Path) -> bool:
    """Write the chart; False when there is nothing to show in it."""
    panels = [(key, bars) for key in PANELS if (bars := figures(results, key))]
    if not panels:
        return False
    matplotlib = import_module("matplotlib")
    matplotlib.use("svg")
    # Text stays text, and the same figures give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks"})
    pyplot = import_module("matplotlib.pyplot")
    height = 1.2 + 0.34 * max(len(bars) for _, bars in panels)
    figure, axes = pyplot.subplots(1, len(panels), figsize=(6.4 * len(panels), height))
    for axis, (key, bars) in zip(axes if len(panels) > 1 else [axes], panels, strict=True):
        draw_panel(axis, results, key, bars)
    figure.suptitle(f"CPU time for a request, µs (less is better), {results.machine.date[:10]}")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return True


def figures(results: Results, key: str) -> dict[str, float]:
    """Server -> CPU time, the cheapest first."""
    cells = results.cells.get(key, {})
    found = {server: cell.cpu for server, cell in cells.items() if cell.cpu is not None}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def draw_panel(axis: Any, results: Results, key: str, bars: dict[str, float]) -> None:
    """One scenario's bars."""
    values = list(bars.values())
    limit = min(max(values), CUT * bars.get("ours", max(values)))
    axis.barh(
        [results.title(server) for server in bars],
        [min(value, limit) for value in values],
        color=[colour(server) for server in bars],
    )
    for index, value in enumerate(values):
        mark = "" if value <= limit else " →"
        axis.text(min(value, limit), index, f" {value:.1f}{mark}", va="center", fontsize=8)
    axis.set_xlim(0, limit * 1.15)
    axis.set_title(SCENARIOS[key].title, fontsize=10)
    axis.tick_params(labelsize=8)
    axis.invert_yaxis()
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def colour(server: str) -> str:
    """Ours stand out; the floor is no server."""
    if server == "floor":
        return FLOOR
    return OURS if server.startswith("ours") else OTHERS
