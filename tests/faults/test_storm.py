"""Everything that brings servers down, at once, on the classes that most use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.storm import CLASSES, EVERY, FAULTS, serving, storm, unexpected

SECONDS = 50.0


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("worker_class", CLASSES)
def test_a_probe_is_answered_in_time_in_a_storm_of_faults(
    tmp_path: Path, worker_class: str
) -> None:
    with serving(worker_class, tmp_path) as server:
        report = storm(server, FAULTS, SECONDS)
        report.show(worker_class)
    assert not report.failed
    assert not report.late
    assert not report.wrong
    assert not unexpected(server.log())
    # It was a storm.
    for fault in FAULTS:
        deeds = sum(report.counts[fault].values())
        assert deeds >= (SECONDS / EVERY[fault] / 2 if fault in EVERY else 50), fault
