"""A worker in a process of its own, without an arbiter: forked, watched and always reaped."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from gunicorn.config import Config
from gunicorn.workers.base import Worker

DEADLINE = 15.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true value of `condition`; fail when there is none before the deadline."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"no {what} within {DEADLINE} seconds")


class FileLogger(logging.Logger):
    """The part of the server's logger that a worker uses, writing to a file."""

    def __init__(self, path: Path) -> None:
        super().__init__("worker", logging.DEBUG)
        handler = logging.FileHandler(path)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        self.addHandler(handler)

    def enter_worker(self) -> None:
        self.debug("enter_worker")

    def reopen_files(self) -> None:
        self.debug("reopen_files")


class App:
    def __init__(self, load: Callable[[], Any]) -> None:
        self.load = load

    def wsgi(self) -> Any:
        return self.load()


class LoopingWorker(Worker):
    """Waits for signals as the contract of Worker has it."""

    def run(self) -> None:
        self.log.debug("running")
        while self.alive and self.is_parent_alive():
            self.notify()
            if select.select([self.PIPE[0]], [], [], 0.5)[0]:
                os.read(self.PIPE[0], 64)
        self.log.debug("stopped")


class WorkerProcess:
    """Forks on entry; on exit kills what is left. `log` is what the worker logged so far."""

    def __init__(
        self,
        tmp_path: Path,
        cfg: Config | None = None,
        *,
        load: Callable[[], Any] = lambda: "application",
        worker_class: type[Worker] = LoopingWorker,
        sockets: Any = (),
    ) -> None:
        self.log_file = tmp_path / "worker.log"
        self.cfg = cfg or Config()
        log: Any = FileLogger(self.log_file)
        self.worker = worker_class(1, os.getpid(), sockets, App(load), 30, self.cfg, log)
        self.pid = 0

    def __enter__(self) -> WorkerProcess:
        self.pid = os.fork()
        if not self.pid:
            status = 70
            try:
                self.worker.init_process()
                status = 0
            except SystemExit as error:
                status = int(error.code or 0)
            except BaseException:
                self.worker.log.critical(traceback.format_exc())
            finally:
                sys.stdout.flush()
                os._exit(status)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.log, f"{text!r} in the log, which is {self.log!r}")

    def kill(self, signum: int) -> None:
        os.kill(self.pid, signum)

    def exit_code(self) -> int:
        """Wait for the process to end by itself; negative for a signal."""
        result: list[int] = []

        def ended() -> bool:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                result.append(os.waitstatus_to_exitcode(status))
            return bool(pid)

        until(ended, "end of the worker")
        self.pid = 0
        return result[0]
