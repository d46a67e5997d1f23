"""Under `reload`: a worker makes way for new code, and shows what is wrong with it."""

from __future__ import annotations

import importlib
import os
import select
import sys
from pathlib import Path
from typing import Any

import pytest

from gunicorn.workers import failure
from tests.workers_base.forked import LoopingWorker, WorkerProcess, until
from tests.workers_base.test_life import config, hook


class AnsweringWorker(LoopingWorker):
    """Logs what the application answers before it waits."""

    def run(self) -> None:
        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            self.log.info("answered %s", status)

        assert self.wsgi is not None
        for line in b"".join(self.wsgi({}, start_response)).decode().splitlines():
            self.log.info("body %s", line)
        super().run()


class BusyWorker(LoopingWorker):
    """Heeds nothing but the exit raised by a signal handler."""

    def run(self) -> None:
        self.log.debug("running")
        while True:
            select.select([], [], [], 0.5)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return folder / "reloaded_shop.py"


def load_module() -> Any:
    importlib.invalidate_caches()
    return importlib.import_module("reloaded_shop").app


def change_until_noticed(module: Path, process: WorkerProcess) -> None:
    """Change the file again and again: what changes before the watch is set up goes unseen."""
    size = 0

    def noticed() -> bool:
        nonlocal size
        size += 1
        module.write_text("app = 'changed'\n" + "#" * size)
        select.select([], [], [], 0.1)
        return "Worker reloading" in process.log

    until(noticed, "reload")


@pytest.mark.parametrize("engine", ["poll", "inotify"])
def test_a_change_ends_the_worker(tmp_path: Path, module: Path, engine: str) -> None:
    module.write_text("app = 'first'\n")
    cfg = config(reload=True, reload_engine=engine, worker_int=hook("worker_int"))
    with WorkerProcess(tmp_path, cfg, load=load_module) as process:
        process.wait_for("running")
        change_until_noticed(module, process)
        assert process.exit_code() == 0
        assert f"INFO Worker reloading: {module} modified" in process.log
        assert process.log.count("hook worker_int") == 1
        assert "stopped" in process.log


def test_a_worker_that_does_not_stop_is_made_to_quit(tmp_path: Path, module: Path) -> None:
    module.write_text("app = 'first'\n")
    cfg = config(reload=True, reload_engine="poll", graceful_timeout=1)
    with WorkerProcess(tmp_path, cfg, load=load_module, worker_class=BusyWorker) as process:
        process.wait_for("running")
        change_until_noticed(module, process)
        assert process.exit_code() == 0


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("app = 1 +\n", "SyntaxError: invalid syntax"),
        ("price = 1 / 0\n", "ZeroDivisionError: division by zero"),
        ("import reloaded_stock\n", "ModuleNotFoundError: No module named 'reloaded_stock'"),
    ],
)
def test_a_mistake_is_shown_and_its_mending_noticed(
    tmp_path: Path, module: Path, source: str, error: str
) -> None:
    module.write_text(source)
    cfg = config(reload=True, reload_engine="poll")
    with WorkerProcess(tmp_path, cfg, load=load_module, worker_class=AnsweringWorker) as process:
        process.wait_for("running")
        assert "ERROR The application cannot be loaded:\nTraceback" in process.log
        assert "INFO answered 500 Internal Server Error" in process.log
        assert f"INFO body {error}" in process.log
        assert process.worker.booted
        # The traceback begins in the code of the user.
        assert "gunicorn/workers/base.py" not in process.log
        change_until_noticed(module, process)
        assert process.exit_code() == 0
        assert f"Worker reloading: {module} modified" in process.log


def test_the_files_that_may_mend_an_error(tmp_path: Path, module: Path) -> None:
    module.write_text("import reloaded_stock.shelf\n")
    with pytest.raises(ModuleNotFoundError) as caught:
        load_module()
    files = failure.source_files(caught.value)
    assert str(module) in files
    assert str(module.parent / "reloaded_stock.py") in files
    assert os.path.join(module.parent, "reloaded_stock", "__init__.py") in files
    assert not [name for name in files if name.startswith("<")]


def test_causes_are_followed_and_cycles_survived() -> None:
    first, second = SyntaxError("one"), ValueError("two")
    first.filename = "/shop/one.py"
    first.__cause__, second.__cause__ = second, first
    assert failure.source_files(second) == ["/shop/one.py"]


def test_the_answer_is_a_whole_response() -> None:
    answer: list[Any] = []
    body = failure.FailedApplication("Traceback: é")({}, lambda *args: answer.extend(args))
    assert dict(answer[1])["Content-Length"] == str(len(b"".join(body)))
    assert dict(answer[1])["Content-Type"] == "text/plain; charset=utf-8"
