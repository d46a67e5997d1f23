"""Measure and write the results: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import chart, machine, memory, places, report, targets
from .measure import Cell, Cores, Effort, run_scenario
from .scenarios import SCENARIOS, Scenario
from .servers import BY_KEY, SERVERS

MEMORY = "memory"
"""The name of the memory figures among the scenarios."""

FULL = Effort(rounds=5, duration=1.5, warm_up=0.5)
QUICK = Effort(rounds=1, duration=0.5, warm_up=0.2)

PLAIN = ("ours", "ours-pure")
"""The installations of this tree."""

QUIET = 0.5
"""A load average above this before the start is worth a warning."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 when the machine cannot, 2 for a wrong command line."""
    options = parse_options(argv)
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        print("Two CPU cores are needed: one for the server, one for wrk", file=sys.stderr)
        return 1
    # An exit like any other, so that no server outlives the harness.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    results = run(options, Cores(server=available[0], load=available[1]))
    write(results, options.output)
    met = [verdict.met for verdict in results.verdicts]
    print(
        f"Wrote {options.output}/results.md. Targets: {met.count(True)} met, "
        f"{met.count(False)} missed, {met.count(None)} not measured"
    )
    return 0


class Options(argparse.Namespace):
    """The command line."""

    effort: Effort
    servers: list[str]
    scenarios: list[str]
    output: Path


def parse_options(argv: Sequence[str] | None) -> Options:
    """Read the command line; SystemExit with a message when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    scenarios = [scenario.key for scenario in SCENARIOS] + [MEMORY]
    parser.add_argument("--rounds", type=positive_int, help=f"default {FULL.rounds}")
    parser.add_argument(
        "--duration", type=positive, help=f"seconds of a turn, default {FULL.duration:g}"
    )
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument(
        "--servers",
        type=names_of([server.key for server in SERVERS]),
        default=[server.key for server in SERVERS],
        metavar="NAME,...",
        help=f"of {', '.join(BY_KEY)}",
    )
    parser.add_argument(
        "--scenarios",
        type=names_of(scenarios),
        default=scenarios,
        metavar="NAME,...",
        help=f"of {', '.join(scenarios)}",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="directory for results.md, results.json and results.svg; default benchmarks/results, "
        "which is kept in the repository, or benchmarks/.build/quick-results for less than all",
    )
    options = parser.parse_args(argv, Options())
    base = QUICK if options.quick else FULL
    options.effort = Effort(
        options.rounds or base.rounds, options.duration or base.duration, base.warm_up
    )
    if options.output is None:
        whole = len(options.servers) == len(SERVERS) and len(options.scenarios) == len(scenarios)
        thorough = whole and not options.quick
        options.output = places.RESULTS if thorough else places.QUICK_RESULTS
    return options


def positive(text: str) -> float:
    """A number of seconds above zero."""
    value = float(text)
    if not 0 < value < 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 3600 seconds")
    return value


def positive_int(text: str) -> int:
    """A count above zero."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


class names_of:  # noqa: N801 - reads as a function: argparse calls it
    """A comma-separated choice of some names."""

    def __init__(self, names: Sequence[str]) -> None:
        """Allow these."""
        self.names = names

    def __call__(self, text: str) -> list[str]:
        """The names in `text`, in the order of the table."""
        chosen = text.split(",")
        unknown = [name for name in chosen if name not in self.names]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(unknown)}; known: {', '.join(self.names)}"
            )
        return [name for name in self.names if name in chosen]


def run(options: Options, cores: Cores) -> report.Results:
    """Take every figure that was asked for."""
    here = machine.look()
    if here.load > QUIET:
        say(f"The machine is busy (load average {here.load:g}): expect noise")
    missing: dict[str, str] = {}
    if places.NOT_INSTALLED.exists():
        missing = json.loads(places.NOT_INSTALLED.read_text())
    cells: dict[str, dict[str, Cell]] = {}
    found: memory.Memory | None = None
    with memory.payload_files() as directory:
        for scenario in SCENARIOS:
            chosen = [key for key in scenario.servers if key in options.servers]
            if scenario.key in options.scenarios and chosen:
                servers = [BY_KEY[key] for key in chosen]
                began = time.monotonic()
                cells[scenario.key] = run_scenario(
                    scenario, servers, options.effort, cores, directory, missing
                )
                show(scenario, cells[scenario.key], time.monotonic() - began)
        if MEMORY in options.scenarios and "ours" in options.servers:
            say("Memory")
            found = memory.measure(BY_KEY["ours"], cores, directory, missing)
    return report.Results(
        machine=here,
        versions=machine.versions(BY_KEY[key] for key in options.servers),
        builds=machine.builds(BY_KEY[key] for key in options.servers if key in PLAIN),
        frameworks=machine.frameworks(),
        effort=options.effort,
        cells=cells,
        memory=found,
        verdicts=targets.judge_all(cells, found),
    )


def show(scenario: Scenario, cells: dict[str, Cell], seconds: float) -> None:
    """Tell how a scenario went, as soon as it is over."""
    say(f"{scenario.title} ({seconds:.0f} s)")
    for key, cell in cells.items():
        figure = (
            cell.failure or f"{report.number(cell.cpu):>10} µs {report.number(cell.rate, 0):>8}/s"
        )
        say(f"  {key:15} {figure}")


def say(text: str) -> None:
    """Progress: to standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def write(results: report.Results, output: Path) -> None:
    """Write the page, the data and the chart."""
    output.mkdir(parents=True, exist_ok=True)
    picture = output / "results.svg"
    drawn = chart.draw(results, picture)
    (output / "results.md").write_text(report.page(results, picture.name if drawn else None))
    (output / "results.json").write_text(json.dumps(report.data(results), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
