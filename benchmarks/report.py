"""The results as a page of Markdown and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .machine import Machine
from .measure import Cell, Effort
from .memory import KINDS, READERS, Memory
from .scenarios import BY_KEY as SCENARIOS
from .scenarios import MIB, Scenario
from .servers import BY_KEY as SERVERS
from .targets import Verdict


@dataclass
class Results:
    """Everything a run found."""

    machine: Machine
    versions: Mapping[str, str]
    """Server -> version."""
    builds: Mapping[str, str]
    """Server built from this tree -> what its --version says."""
    frameworks: Mapping[str, str]
    effort: Effort
    cells: Mapping[str, Mapping[str, Cell]]
    memory: Memory | None
    verdicts: Sequence[Verdict]

    def title(self, key: str) -> str:
        """A server's name, with its version where it has one."""
        version = self.versions.get(key)
        return f"{SERVERS[key].title} ({version})" if version else SERVERS[key].title


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    lines = [header, [":--", *("--:" for _ in header[1:])], *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def number(value: float | None, digits: int = 1) -> str:
    """A figure for a table; a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def ratio(value: float | None, base: float | None) -> str:
    """One figure over another, or a dash."""
    return "-" if value is None or not base else f"{value / base:.2f}"


def scenario_table(results: Results, scenario: Scenario) -> str:
    """The table of one scenario, the cheapest server first and those without a figure last."""
    cells = results.cells[scenario.key]
    floor = cells["floor"].cpu if "floor" in cells else None
    ours = cells["ours"].cpu if "ours" in cells else None
    header = [
        "server",
        "CPU µs/request",
        "/ floor",
        "/ this tree",
        "requests/s",
        "p50 ms",
        "p99 ms",
    ]
    if floor is None:
        header.remove("/ floor")
    if scenario.bulk:
        header.append("MiB/s")
    rows = []
    for key, cell in sorted(cells.items(), key=lambda item: item[1].cpu or float("inf")):
        if cell.failure is not None or not cell.runs:
            blank = ["-"] * (len(header) - 2)
            rows.append([results.title(key), cell.failure or "no figure", *blank])
            continue
        row = [results.title(key), number(cell.cpu)]
        if floor is not None:
            row.append(ratio(cell.cpu, floor))
        row += [ratio(cell.cpu, ours), number(cell.rate, 0)]
        row.append(number(cell.median(lambda run: run.load.latency_50 * 1e3), 2))
        row.append(number(cell.median(lambda run: run.load.latency_99 * 1e3), 2))
        if scenario.bulk:
            row.append(number((cell.rate or 0.0) * scenario.bulk / MIB, 0))
        rows.append(row)
    return table(header, rows)


def summary(verdicts: Sequence[Verdict]) -> str:
    """The table of the targets."""
    rows = []
    for verdict in verdicts:
        text = verdict.text
        if verdict.note and verdict.met is not None:
            text += f" ({verdict.note})"
        scenario = SCENARIOS.get(verdict.scenario)
        rows.append(
            [
                f"{scenario.title if scenario else 'Memory'}: {text}",
                verdict.bound,
                number(verdict.measured, 2),
                verdict.outcome,
            ]
        )
    return table(["figure", "target", "measured", "outcome"], rows)


def memory_section(memory: Memory) -> str:
    """Peaks and idle connections."""
    sizes = sorted({peak.size for peak in memory.peaks})
    peaks = {(peak.kind, peak.size): peak.peak for peak in memory.peaks}
    names = {"file": "wsgi.file_wrapper", "blocks": "generator of 64 KiB blocks"}
    rows = []
    for kind in KINDS:
        row = [names[kind]]
        for size in sizes:
            peak = peaks.get((kind, size))
            row.append("-" if peak is None else f"{peak / MIB:.1f}")
        rows.append(row)
    parts = [
        f"Peak resident set of all processes of this tree's server, MiB, serving {READERS} "
        "responses at once to clients that are slow to start reading:",
        table(["response", *(f"{size} MiB" for size in sizes)], rows),
    ]
    if memory.idle is not None:
        parts.append(
            f"{memory.idle.connections:,} kept connections that wait for their next request cost "
            f"{memory.idle.bytes_each:,.0f} bytes of resident memory each."
        )
    parts += [f"Not measured: {failure}" for failure in memory.failures]
    return "\n\n".join(parts)


def page(results: Results, chart: str | None) -> str:
    """The whole page; `chart` is the file name of the chart beside it."""
    machine, effort = results.machine, results.effort
    found = ", ".join(f"{name} {version}" for name, version in results.frameworks.items())
    parts = [
        "# What a request costs",
        f"{machine.date}. {machine.cpu}, {machine.cores} cores, {machine.memory_gib:g} GiB; "
        f"{machine.kernel}; {machine.python}; {found}. Load average before the start: "
        f"{machine.load:g}.",
        f"Medians over interleaved rounds ({effort.rounds}) of {effort.duration:g} s each. "
        "One process of each server on one core, wrk on another. CPU: user and system time of all "
        "processes of the server, divided by the requests that wrk counted. A server with a single "
        "error has no figure. Written by `make bench`.",
    ]
    if results.builds:
        said = [f"- {SERVERS[key].title}: `{text}`" for key, text in results.builds.items()]
        parts.append("\n".join(said))
    if chart is not None:
        parts.append(f"![CPU time for a request]({chart})")
    if results.verdicts:
        parts += ["## Targets", summary(results.verdicts)]
    for key in results.cells:
        scenario = SCENARIOS[key]
        plural = "" if scenario.connections == 1 else "s"
        parts.append(f"## {scenario.title}")
        parts.append(f"{scenario.connections} connection{plural}.")
        parts.append(scenario_table(results, scenario))
    if results.memory is not None:
        parts += ["## Memory", memory_section(results.memory)]
    return "\n\n".join(parts) + "\n"


def data(results: Results) -> dict[str, Any]:
    """The same for programs: every run, and the medians."""
    scenarios = {}
    for key, cells in results.cells.items():
        scenarios[key] = {
            server: {
                "failure": cell.failure,
                "cpu_us_per_request": cell.cpu,
                "requests_per_second": cell.rate,
                "runs": [dataclasses.asdict(run) for run in cell.runs],
            }
            for server, cell in cells.items()
        }
    return {
        "machine": dataclasses.asdict(results.machine),
        "versions": dict(results.versions),
        "builds": dict(results.builds),
        "frameworks": dict(results.frameworks),
        "effort": dataclasses.asdict(results.effort),
        "scenarios": scenarios,
        "memory": None if results.memory is None else dataclasses.asdict(results.memory),
        "targets": [dataclasses.asdict(verdict) for verdict in results.verdicts],
    }
