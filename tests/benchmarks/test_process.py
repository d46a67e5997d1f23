"""A server's processes are found, their time is counted, and none is left."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from benchmarks.process import (
    ProcessError,
    ServerProcess,
    Stat,
    Usage,
    all_stats,
    members,
    parse_stat,
)

from tests.servers import until

FAMILY = """\
import os, time
if os.fork() == 0:
    os.setsid()  # leaves the process group, as a server's worker may
    open("child", "w").write(str(os.getpid()))
end = time.process_time() + 0.2
while time.process_time() < end:
    pass
open(f"done-{os.getpid()}", "w").close()
time.sleep(60)
"""
"""Two processes that use 0.2 s each and then wait."""


def test_a_name_with_parentheses_and_spaces() -> None:
    line = "42 (a) b (c) S 1 40 40 0 -1 4194304 100 0 0 0 250 30 7 7 20 0 1 0 100 0 0\n"
    assert parse_stat(line) == Stat(pid=42, state="S", parent=1, group=40, ticks=280)


def test_group_and_descendants_belong_and_nobody_else() -> None:
    def stat(pid: int, parent: int, group: int) -> Stat:
        return Stat(pid, "S", parent, group, 0)

    leader, child, orphan = stat(10, 1, 10), stat(11, 10, 10), stat(12, 1, 10)
    detached, grandchild = stat(13, 11, 13), stat(14, 13, 13)
    stranger = stat(15, 1, 15)
    everyone = [grandchild, stranger, detached, orphan, child, leader]
    assert {found.pid for found in members(10, everyone)} == {10, 11, 12, 13, 14}


def test_this_process_is_among_all() -> None:
    assert os.getpid() in {stat.pid for stat in all_stats()}


def test_time_since_sums_over_the_processes() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    used = Usage({1: 5 * ticks, 2: 7 * ticks}).since(Usage({1: 4 * ticks, 2: 5 * ticks}))
    assert used == 3.0


@pytest.mark.parametrize("after", [{1: 5}, {1: 5, 2: 5, 3: 5}])
def test_a_process_that_came_or_went_spoils_the_figure(after: dict[int, int]) -> None:
    with pytest.raises(ProcessError, match="changed"):
        Usage(after).since(Usage({1: 5, 2: 5}))


def test_a_family_is_counted_and_ended(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    with ServerProcess([sys.executable, "-c", FAMILY], {}, tmp_path, core) as server:
        until(lambda: len(list(tmp_path.glob("done-*"))) == 2, "two processes that are done")
        assert os.sched_getaffinity(server.process.pid) == {core}
        assert os.sched_getaffinity(0) == before
        usage = server.usage()
        assert len(usage.ticks) == 2
        assert usage.since(Usage(dict.fromkeys(usage.ticks, 0))) >= 0.36
        assert server.memory("VmHWM") >= server.memory("VmRSS") > 1 << 20
        child = int((tmp_path / "child").read_text())
        server.stop(patience=0.5)
        until(lambda: not server.alive({server.process.pid, child}), "no process left")


def test_the_last_words_of_a_server(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('Traceback:'); print('no such module'); print()"]
    with ServerProcess(command, {}, tmp_path, min(os.sched_getaffinity(0))) as server:
        server.process.wait(20)
        assert server.last_words() == "no such module"


def test_time_passes_only_for_those_who_work() -> None:
    before = {stat.pid: stat.ticks for stat in all_stats()}[os.getpid()]
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    after = {stat.pid: stat.ticks for stat in all_stats()}[os.getpid()]
    assert after > before
