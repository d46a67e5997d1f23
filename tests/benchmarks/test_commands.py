"""What the harness starts, and what it says of what it cannot start."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from benchmarks.__main__ import FULL, QUICK, parse_options
from benchmarks.measure import Cores, Effort, run_scenario
from benchmarks.memory import read_response
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import SERVERS, Server

from benchmarks import places

CORE = min(os.sched_getaffinity(0))
CORES = Cores(CORE, max(os.sched_getaffinity(0)))
SHORT = Effort(1, 0.2, 0.1)


def test_commands_are_complete_and_keys_are_distinct() -> None:
    for server in SERVERS:
        command = server.argv("hello:app", 8123)
        assert not [part for part in command if "{" in part or not part]
        assert any("8123" in part for part in command)
        assert "-" not in command
        if server.key != "floor":
            assert "hello:app" in command
    assert len({server.key for server in SERVERS}) == len(SERVERS)


def test_applications_and_scripts_exist() -> None:
    for scenario in SCENARIOS:
        assert (places.APPS / f"{scenario.app.split(':')[0]}.py").exists()
        if scenario.script is not None:
            assert (places.WRK_SCRIPTS / scenario.script).exists()


@pytest.mark.parametrize(
    ("server", "missing", "reason"),
    [
        (
            Server("peer", "Peer", ("/nonexistent/peer", "{port}"), distribution="peer"),
            {"peer": "not installed: needs libfoo"},
            "not installed: needs libfoo",
        ),
        (Server("peer", "Peer", ("/nonexistent/peer", "{port}")), {}, "not installed: no "),
        (
            Server("peer", "Peer", (sys.executable, "-c", "raise SystemExit('no libfoo')")),
            {},
            "does not start: no libfoo",
        ),
    ],
)
def test_a_server_that_cannot_start_keeps_its_row(
    server: Server, missing: dict[str, str], reason: str, tmp_path: Path
) -> None:
    cells = run_scenario(SCENARIOS[0], [server], SHORT, CORES, tmp_path, missing)
    failure = cells["peer"].failure
    assert failure is not None
    assert failure.startswith(reason)


def test_the_command_line() -> None:
    assert parse_options([]).effort == FULL
    assert parse_options([]).output == places.RESULTS
    quick = parse_options(["--quick", "--rounds", "4", "--servers", "ours,floor"])
    assert quick.effort == Effort(4, QUICK.duration, QUICK.warm_up)
    assert quick.servers == ["floor", "ours"]
    assert quick.output == places.QUICK_RESULTS
    # What is kept in the repository is only ever a whole run.
    assert parse_options(["--scenarios", "flask"]).output == places.QUICK_RESULTS


@pytest.mark.parametrize(
    "arguments", [["--servers", "apache"], ["--rounds", "0"], ["--duration", "-1"]]
)
def test_a_wrong_command_line_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_options(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_a_response_is_read_to_its_length_and_not_beyond() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    for sent, complaint in ((b"hello", None), (b"hell", "closed"), (b"hello!", "longer")):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(head + sent)
            theirs.shutdown(socket.SHUT_WR)
            if complaint is None:
                read_response(ours, 5)
            else:
                with pytest.raises(OSError, match=complaint):
                    read_response(ours, 5)
