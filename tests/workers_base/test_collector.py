"""What the collector of a worker does while the application is loaded, and after."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from gunicorn import collector
from gunicorn.config import Config
from gunicorn.workers.base import Worker
from tests.workers_base.forked import WorkerProcess

USUAL = gc.get_threshold()


class Node:
    """Garbage that only the collector can find."""

    def __init__(self) -> None:
        self.itself = self


def account() -> str:
    return f"threshold={gc.get_threshold()} enabled={gc.isenabled()}"


def booted_with(load: Any, tmp_path: Path) -> list[str]:
    """What a worker logs that loads its application so."""

    def post_worker_init(worker: Worker) -> None:
        mine = any(type(each) is Node for each in gc.get_objects())
        worker.log.info("after: %s frozen=%s listed=%s", account(), gc.get_freeze_count() > 0, mine)

    cfg = Config()
    cfg.set("post_worker_init", post_worker_init)
    with WorkerProcess(tmp_path, cfg, load=load) as process:
        process.wait_for("running")
        return [line for line in process.log.splitlines() if line.startswith("INFO")]


def test_what_was_loaded_is_never_looked_at_again(tmp_path: Path) -> None:
    kept = []

    def load() -> str:
        kept.append(Node())
        return "application"

    assert booted_with(load, tmp_path) == [
        f"INFO after: threshold={USUAL} enabled=True frozen=True listed=False"
    ]


def test_thresholds_that_the_application_sets_stay(tmp_path: Path) -> None:
    def load() -> str:
        gc.set_threshold(1234, 5, 6)
        return "application"

    assert booted_with(load, tmp_path)[0].startswith("INFO after: threshold=(1234, 5, 6) ")


def test_an_application_may_switch_the_collector_off(tmp_path: Path) -> None:
    def load() -> str:
        gc.disable()
        return "application"

    assert booted_with(load, tmp_path)[0].startswith(f"INFO after: threshold={USUAL} enabled=False")


@pytest.fixture
def as_usual() -> Any:
    yield
    gc.unfreeze()
    gc.set_threshold(*USUAL)


@pytest.mark.usefixtures("as_usual")
def test_garbage_is_found_while_loading_if_there_is_much_of_it() -> None:
    alive = 0

    class Counted(Node):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    most = 0
    with collector.at_rest():
        for _ in range(3 * collector.LOADING_THRESHOLD):
            Counted()
            alive += 1
            most = max(most, alive)
    # From Python 3.12 on it looks at the next opportunity, a few objects later.
    assert USUAL[0] * 10 < most < collector.LOADING_THRESHOLD * 1.01


@pytest.mark.usefixtures("as_usual")
def test_a_failure_leaves_the_collector_as_it_was() -> None:
    frozen = gc.get_freeze_count()
    with pytest.raises(ZeroDivisionError), collector.at_rest():
        _ = 1 / 0
    assert gc.get_threshold() == USUAL
    assert gc.get_freeze_count() == frozen


@pytest.mark.usefixtures("as_usual")
def test_a_collector_that_never_looks_goes_on_so() -> None:
    gc.set_threshold(0)
    with collector.at_rest():
        assert gc.get_threshold()[0] == 0
    assert gc.get_threshold()[0] == 0
