"""The tables and the verdicts say what was measured, and what was not."""

from __future__ import annotations

import json

import pytest
from benchmarks.machine import Machine, cpu_model
from benchmarks.measure import Cell, Effort, Run
from benchmarks.memory import Idle, Memory, Peak
from benchmarks.scenarios import BY_KEY as SCENARIOS
from benchmarks.servers import BY_KEY as SERVERS
from benchmarks.targets import TARGETS, Target, judge, judge_memory
from benchmarks.wrk import Load

from benchmarks import measure, report, targets


def cell(*cpu: float, rate: float = 1000.0) -> Cell:
    """A cell with a run for each figure of CPU microseconds."""
    load = Load(int(rate), 1.0, 0, 0, 0.001, 0.002)
    return Cell([Run(load, figure * rate / 1e6, rate) for figure in cpu])


def failed(reason: str) -> Cell:
    """A cell without figures."""
    return Cell(failure=reason)


def results(cells: dict[str, dict[str, Cell]], memory: Memory | None = None) -> report.Results:
    """A run with these cells."""
    machine = Machine("2000-01-01 00:00 UTC", "a CPU", 2, 4.0, "Linux 6", "CPython 3", 0.1)
    return report.Results(
        machine=machine,
        versions={"bjoern": "3.2"},
        builds={"ours": "gunicorn 27 with a head parser"},
        frameworks={"wrk": "4.1"},
        effort=Effort(3, 1.5, 0.5),
        cells=cells,
        memory=memory,
        verdicts=targets.judge_all(cells, memory),
    )


def test_medians_of_the_rounds() -> None:
    assert cell(30.0, 10.0, 20.0).cpu == pytest.approx(20.0)
    assert cell(1.0, rate=500.0).rate == 500.0


def test_a_cell_that_failed_has_no_figure_and_keeps_its_first_reason() -> None:
    broken = cell(10.0)
    broken.fail("7 errors")
    broken.fail("something later")
    assert (broken.cpu, broken.rate, broken.failure) == (None, None, "7 errors")


def test_rows_are_sorted_with_ratios_and_failures_last() -> None:
    cells = {
        "granian": failed("7 errors"),
        "bjoern": cell(20.0),
        "ours": cell(10.0),
        "floor": cell(5.0),
    }
    text = report.scenario_table(results({"hello-minimal": cells}), SCENARIOS["hello-minimal"])
    header, _, *rows = [line.strip("| ").split(" | ") for line in text.splitlines()]
    assert header[:4] == ["server", "CPU µs/request", "/ floor", "/ this tree"]
    assert rows[0][1:5] == ["5.0", "1.00", "0.50", "1,000"]
    assert rows[1][1:4] == ["10.0", "2.00", "1.00"]
    assert rows[2][:4] == ["bjoern (3.2)", "20.0", "4.00", "2.00"]
    assert rows[3][:3] == ["Granian", "7 errors", "-"]
    assert len({len(row) for row in (header, *rows)}) == 1


def test_bulk_has_throughput_and_no_floor() -> None:
    cells = {"ours": cell(100.0, rate=300.0), "waitress": failed("not installed: a | b")}
    text = report.scenario_table(results({"file-10m": cells}), SCENARIOS["file-10m"])
    header, _, first, second = text.splitlines()
    assert "floor" not in header
    assert header.endswith("| MiB/s |")
    assert first.endswith("| 3,000 |")
    assert r"a \| b" in second


def test_unfinished_large_responses_count_by_their_bytes() -> None:
    load = Load(2, 1.0, 25 << 20, 0, 0.0, 0.0)
    assert measure.served(SCENARIOS["file-10m"], load) == 2.5
    assert measure.served(SCENARIOS["hello-minimal"], load) == 2.0


@pytest.mark.parametrize(("cpu", "met"), [(8.0, True), (8.1, False)])
def test_a_target_of_cpu_is_a_ceiling(cpu: float, met: bool) -> None:
    cells = {"hello-browser": {"ours": cell(cpu), "fastwsgi": cell(10.0)}}
    verdict = judge(Target("hello-browser", "fastwsgi", 0.80), cells)
    assert verdict.met is met
    assert verdict.measured == pytest.approx(cpu / 10)


def test_a_target_of_throughput_is_a_bottom_and_the_best_peer_is_found() -> None:
    row = {
        "ours": cell(1.0, rate=95.0),
        "ours-pure": cell(1.0, rate=500.0),
        "granian": cell(1.0, rate=100.0),
        "bjoern": cell(1.0, rate=50.0),
        "waitress": failed("1 errors"),
    }
    verdict = judge(Target("file-10m", targets.BEST_PEER, 1.0, "rate"), {"file-10m": row})
    assert (verdict.met, verdict.note, verdict.bound) == (False, "Granian", "≥ 1")
    assert verdict.measured == pytest.approx(0.95)


def test_a_target_without_figures_says_why() -> None:
    target = Target("hello-browser", "bjoern", 0.7)
    cells = {"hello-browser": {"ours": cell(1.0), "bjoern": failed("not installed: no libev")}}
    assert judge(target, cells).outcome == "not measured: bjoern: not installed: no libev"
    assert judge(target, {}).met is None


def test_targets_name_what_there_is() -> None:
    for target in TARGETS:
        servers = SCENARIOS[target.scenario].servers
        assert target.server in servers
        assert target.against == targets.BEST_PEER or target.against in servers
    assert {key for scenario in SCENARIOS.values() for key in scenario.servers} == set(SERVERS)


def test_memory_that_grows_misses_its_target() -> None:
    peaks = [Peak("file", 10, 100), Peak("file", 100, 104), Peak("blocks", 10, 100)]
    file, blocks = judge_memory(Memory(peaks, None, ["blocks, 100 MiB: timed out"]))
    assert file.met is True
    assert blocks.outcome == "not measured: blocks, 100 MiB: timed out"
    peaks[1] = Peak("file", 100, 190)
    assert judge_memory(Memory(peaks, None, []))[0].met is False


def test_the_page_and_the_data_hold_everything() -> None:
    cells = {"flask": {"ours": cell(10.0), "bjoern": failed("3 errors")}}
    found = results(cells, Memory([Peak("file", 10, 5 << 20)], Idle(9000, 1234.5), []))
    page = report.page(found, "results.svg")
    for text in (
        "a CPU",
        "wrk 4.1",
        "results.svg",
        "3 errors",
        "9,000 kept",
        "1,234 bytes",
        "a head parser",
    ):
        assert text in page
    assert "| wsgi.file_wrapper | 5.0 |" in page
    data = json.loads(json.dumps(report.data(found)))
    assert data["scenarios"]["flask"]["ours"]["cpu_us_per_request"] == pytest.approx(10.0)
    assert data["scenarios"]["flask"]["bjoern"]["failure"] == "3 errors"
    assert len(data["targets"]) == len(TARGETS) + 2


def test_the_name_of_the_cpu() -> None:
    assert cpu_model("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n") == "Some CPU @ 3 GHz"
    assert cpu_model("processor\t: 0\n") != ""
