"""The life of a worker process: booting, signals, the end."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from gunicorn.config import Config
from gunicorn.workers.base import Worker
from tests.workers_base.forked import App, LoopingWorker, WorkerProcess, until


def config(**settings: Any) -> Config:
    cfg = Config()
    for name, value in settings.items():
        cfg.set(name, value)
    return cfg


def hook(name: str) -> Any:
    def record(worker: Worker) -> None:
        worker.log.info("hook %s alive=%s", name, worker.alive)

    return record


def test_a_worker_boots_runs_and_stops_gracefully(tmp_path: Path) -> None:
    def post_worker_init(worker: Worker) -> None:
        worker.log.info("init wsgi=%s booted=%s", worker.wsgi, worker.booted)

    cfg = config(post_worker_init=post_worker_init)
    with WorkerProcess(tmp_path, cfg) as process:
        process.wait_for("running")
        assert process.worker.booted
        assert process.worker.tmp.pid == process.pid
        process.kill(signal.SIGTERM)
        assert process.exit_code() == 0
        assert process.log.splitlines() == [
            "DEBUG enter_worker",
            "INFO init wsgi=application booted=False",
            "DEBUG running",
            "DEBUG stopped",
        ]


@pytest.mark.parametrize("signum", [signal.SIGQUIT, signal.SIGINT])
def test_a_quick_stop_calls_the_hook_once_and_leaves_the_loop(tmp_path: Path, signum: int) -> None:
    def twice(worker: Worker) -> None:
        worker.log.info("hook worker_int")
        os.kill(worker.pid, signal.SIGQUIT)

    with WorkerProcess(tmp_path, config(worker_int=twice)) as process:
        process.wait_for("running")
        process.kill(signum)
        assert process.exit_code() == 0
        assert process.log.count("hook worker_int") == 1
        assert "stopped" not in process.log


def test_a_quick_stop_that_comes_inside_a_destructor_is_repeated(tmp_path: Path) -> None:
    """What a destructor raises is dropped, the exit of a signal handler too."""

    class Destructible:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGQUIT)

    def load() -> Any:
        Destructible()
        return "application"

    class Stubborn(LoopingWorker):
        def run(self) -> None:
            self.alive = True
            super().run()

    with WorkerProcess(tmp_path, load=load, worker_class=Stubborn) as process:
        process.wait_for("running")
        assert "An exit was dropped in <function " in process.log
        process.kill(signal.SIGINT)
        assert process.exit_code() == 0
        assert "stopped" not in process.log


def test_abort_calls_its_hook_and_exits_1(tmp_path: Path) -> None:
    with WorkerProcess(tmp_path, config(worker_abort=hook("worker_abort"))) as process:
        process.wait_for("running")
        process.kill(signal.SIGABRT)
        assert process.exit_code() == 1
        assert "hook worker_abort alive=False" in process.log


def test_signals_that_do_not_stop_a_worker(tmp_path: Path) -> None:
    with WorkerProcess(tmp_path) as process:
        process.wait_for("running")
        for signum in (signal.SIGHUP, signal.SIGUSR2, signal.SIGWINCH, signal.SIGUSR1):
            process.kill(signum)
        process.wait_for("reopen_files")
        process.wait_for("SIGWINCH")
        process.kill(signal.SIGTERM)
        assert process.exit_code() == 0


def test_heartbeats_reach_the_parent(tmp_path: Path) -> None:
    with WorkerProcess(tmp_path) as process:
        process.wait_for("running")
        first = process.worker.tmp.last_update()
        process.kill(signal.SIGUSR1)
        until(lambda: process.worker.tmp.last_update() > first, "second heartbeat")


def test_a_worker_without_its_arbiter_stops(tmp_path: Path) -> None:
    process = WorkerProcess(tmp_path)
    process.worker.ppid = 1 if os.getppid() != 1 else 2
    with process:
        assert process.exit_code() == 0
        assert f"Parent changed, shutting down: <Worker {process.worker.tmp.pid}>" in process.log


def test_the_environment_is_that_of_the_settings(tmp_path: Path) -> None:
    class Reporter(LoopingWorker):
        def run(self) -> None:
            self.log.info("env %s", os.environ["COLOUR"])
            self.log.info("draw %r", random.random())

    random.seed(1)
    expected = random.random()
    random.seed(1)
    cfg = config(raw_env=["COLOUR=blue"])
    with WorkerProcess(tmp_path, cfg, worker_class=Reporter) as process:
        assert process.exit_code() == 0
        assert "env blue" in process.log
        assert "draw" in process.log
        assert repr(expected) not in process.log
    assert "COLOUR" not in os.environ


def test_listeners_do_not_reach_programs_that_the_application_starts(tmp_path: Path) -> None:
    class Reporter(LoopingWorker):
        def run(self) -> None:
            self.log.info("inheritable %s", self.sockets[0].get_inheritable())

    with socket.socket() as listener:
        listener.set_inheritable(True)
        with WorkerProcess(tmp_path, worker_class=Reporter, sockets=[listener]) as process:
            assert process.exit_code() == 0
            assert "inheritable False" in process.log


def test_an_application_that_fails_to_load_ends_the_worker(tmp_path: Path) -> None:
    def load() -> Any:
        raise LookupError("no such shop")

    with WorkerProcess(tmp_path, load=load) as process:
        assert process.exit_code() == 70
        assert "LookupError: no such shop" in process.log
        assert not process.worker.booted


def test_spew_prints_the_lines_that_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with WorkerProcess(tmp_path, config(spew=True)) as process:
        process.wait_for("running")
        process.kill(signal.SIGTERM)
        assert process.exit_code() == 0
    assert re.search(
        r"^tests\.workers_base\.forked:\d+:         while self\.alive and",
        capfd.readouterr().out,
        re.MULTILINE,
    )


@pytest.mark.parametrize(
    ("limit", "jitter", "low", "high"),
    [(0, 50, sys.maxsize, sys.maxsize), (10, 0, 10, 10), (10, 5, 10, 15)],
)
def test_max_requests_with_jitter(limit: int, jitter: int, low: int, high: int) -> None:
    cfg = config(max_requests=limit, max_requests_jitter=jitter)
    log: Any = None
    for _ in range(20):
        assert low <= Worker(1, 1, [], App(list), 30, cfg, log).max_requests <= high


def test_a_worker_class_must_say_how_it_runs() -> None:
    log: Any = None
    with pytest.raises(NotImplementedError, match=r"Worker must define run\(\)"):
        Worker(1, 1, [], App(list), 30, Config(), log).run()
