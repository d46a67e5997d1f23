"""Start the real command as a process, talk to it over sockets, and leave nothing behind.

    with Server("app:app", "--workers", "2", cwd=tmp_path, files={"app.py": SOURCE}) as server:
        assert server.get("/").status == 200
        server.send_signal(signal.SIGHUP)
        server.wait_for("Handling signal: hup")
        assert server.stop() == 0

A server gets a session of its own, so every process that descends from it (workers, the master
of a binary upgrade) can be found again; leaving the context ends them all, and complains when
any of them outlived a stop. Every wait has a deadline and tells the log when it passes.

What a server must not say is checked when it has ended, for a worker writes lines after the answer
that a test has seen, and at its exit:

    server.never_says("ERROR")

What else tests need of processes, ports and sockets can be imported from here, too.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from tests.client import Client, Reply, read_all
from tests.ports import free_port
from tests.processes import alive, processes
from tests.waiting import DEADLINE, until

__all__ = [
    "DEADLINE", "HELLO", "Reply", "Server", "alive", "free_port", "processes", "read_all",
    "started_in_test", "until",
]  # fmt: skip

HELLO = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""
"""The smallest application worth serving; `files={"app.py": HELLO}` serves it as `app:app`."""

T = TypeVar("T")


class Server(Client):
    """`python -m gunicorn ARGS APP`, started in `cwd`.

    `files` are written into `cwd` first. `env` is added to this process's environment, from which
    what would configure a server has been taken out. `bind` is the --bind value: a free port of
    127.0.0.1 by default, "unix:PATH" for a unix socket, "" to pass none at all (the options or
    the config file bind; give `address` then). `app` None passes no application.
    With `wait` the constructor returns when the address accepts connections, and raises
    AssertionError with the log when the process ends before that.
    """

    def __init__(
        self,
        app: str | None,
        *args: str,
        cwd: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        bind: str | None = None,
        wait: bool = True,
        files: Mapping[str, str] | None = None,
        command: Sequence[str] = (sys.executable, "-m", "gunicorn"),
        address: tuple[str, int] | str | None = None,
        tls: ssl.SSLContext | None = None,
        umask: int = -1,
    ) -> None:
        self.cwd = Path(cwd)
        for name, text in (files or {}).items():
            path = self.cwd / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.bind = f"127.0.0.1:{free_port()}" if bind is None else bind
        super().__init__(address or self._address_of(self.bind or "127.0.0.1:8000"), tls)
        self.promised: dict[str, int] = {}
        self.log_path = self._new_log()
        binding = ["--bind", self.bind] if self.bind else []
        self.command = [*command, *binding, *args, *([app] if app else [])]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env=clean_environment(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=umask,
            )
        self.pid = self.process.pid
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.clean_up()
                raise

    # -- what it says ------------------------------------------------------------------------

    def log(self) -> str:
        """All that the server has written to stdout and stderr so far."""
        return self.log_path.read_text(errors="replace")

    def wait_for(self, pattern: str, timeout: float = DEADLINE, *, count: int = 1) -> re.Match[str]:
        """The `count`-th place in the log that matches the regular expression, waited for."""

        def found() -> re.Match[str] | None:
            matches = list(re.finditer(pattern, self.log(), re.MULTILINE))
            return matches[count - 1] if len(matches) >= count else None

        match = self.until(found, f"{count} x {pattern!r} in the log", timeout)
        assert match is not None
        return match

    def never_says(self, *patterns: str) -> None:
        """Have the end of the server fail when its log has any of these regular expressions."""
        for pattern in patterns:
            self.says_in_all(pattern, 0)

    def says_in_all(self, pattern: str, times: int) -> None:
        """Have the end of the server fail unless exactly so many lines of its log have `pattern`.

        All that it logs counts, from its start to its end; whoever ends it looks (leaving the
        context, `stop`, `started_in_test`), and raises AssertionError. If it has ended already,
        that is now.
        """
        self.promised[pattern] = times
        if self.process.poll() is not None and not self.leftovers():
            self.assert_promised()

    def assert_promised(self) -> None:
        """AssertionError when the log, whole by now, is not what `says_in_all` wants of it."""
        log = self.log() if self.promised else ""  # it may have moved with the folder
        wrong = [
            f"{len(found)} x {pattern!r} in the whole log instead of {times}: {found[:5]}"
            for pattern, times in self.promised.items()
            if len(found := re.findall(f".*(?:{pattern}).*", log)) != times
        ]
        if wrong:
            raise AssertionError("\n".join([*wrong, "--- log ---", log]))

    def until(
        self, condition: Callable[[], T], what: str = "the condition", timeout: float = DEADLINE
    ) -> T:
        """Poll until `condition()` is true; the AssertionError shows the log."""
        try:
            return until(condition, what, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- log ---\n{self.log()}") from None

    def wait_ready(self, timeout: float = DEADLINE) -> None:
        """Wait until the address accepts a connection."""

        def ready() -> bool:
            code = self.process.poll()
            if code is not None:
                raise AssertionError(f"exit code {code} at start\n--- log ---\n{self.log()}")
            try:
                self.connect(handshake=False).close()
            except OSError:
                return False
            return True

        self.until(ready, f"listening at {self.address}", timeout)

    # -- its processes -----------------------------------------------------------------------

    def workers(self, pid: int | None = None) -> list[int]:
        """The pids of the children of the arbiter (or of `pid`), oldest first."""
        parent = self.pid if pid is None else pid
        return sorted(process.pid for process in processes() if process.ppid == parent)

    def wait_workers(
        self, count: int, timeout: float = DEADLINE, *, pid: int | None = None
    ) -> list[int]:
        """Wait until there are `count` workers; returns their pids."""

        def settled() -> list[int] | None:
            pids = self.workers(pid)
            return pids if len(pids) == count else None

        if count == 0:
            self.until(lambda: not self.workers(pid), "no workers", timeout)
            return []
        pids = self.until(settled, f"{count} workers", timeout)
        assert pids is not None
        return pids

    def wait_serving(self, count: int, timeout: float = DEADLINE) -> list[int]:
        """Wait until there are `count` workers and each has booted; returns their pids.

        The application must tell the worker's pid in the field X-Worker.
        """
        pids = self.wait_workers(count, timeout)
        unheard = set(pids)

        def all_heard() -> bool:
            unheard.discard(int(self.get("/").headers["X-Worker"]))
            return not unheard

        self.until(all_heard, "an answer of each worker", timeout)
        return pids

    def leftovers(self) -> list[int]:
        """Every process of this server's session that still runs."""
        return [process.pid for process in processes() if process.session == self.pid]

    def send_signal(self, sig: int) -> None:
        """Send a signal to the arbiter."""
        self.process.send_signal(sig)

    def wait(self, timeout: float = DEADLINE) -> int:
        """Wait until the arbiter ends; returns its exit code (negative: the signal)."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"still running after {timeout} s\n--- log ---\n{self.log()}"
            ) from None

    def stop(self, sig: int = signal.SIGTERM, timeout: float = DEADLINE) -> int:
        """Send `sig`, wait for the end and return the exit code.

        AssertionError when it does not end, when processes of its are left, or when the log is
        not as promised.
        """
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.wait(timeout)
        self.assert_nothing_left()
        self.assert_promised()
        return code

    def assert_nothing_left(self, timeout: float = 5.0) -> None:
        """AssertionError when a process of the server's session is still there."""
        with contextlib.suppress(AssertionError):
            until(lambda: not self.leftovers(), "the end of every process", timeout)
        left = self.leftovers()
        if left:
            raise AssertionError(f"processes left behind: {left}\n--- log ---\n{self.log()}")

    def clean_up(self) -> list[int]:
        """Kill what still runs; returns the pids that did."""
        left = self.leftovers()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(DEADLINE)
        until(lambda: not self.leftovers(), "the end of killed processes")
        return left

    # -- a context ---------------------------------------------------------------------------

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.stop()
            else:
                print(f"--- log of {self.command} ---\n{self.log()}")  # pytest shows it
        finally:
            self.clean_up()

    # -- the parts of starting ---------------------------------------------------------------

    def _new_log(self) -> Path:
        number = 0
        while (path := self.cwd / f"server{number or ''}.log").exists():
            number += 1
        return path

    @staticmethod
    def _address_of(bind: str) -> tuple[str, int] | str:
        if bind.startswith("unix:"):
            return bind.removeprefix("unix:")
        host, _, port = bind.rpartition(":")
        host = host.strip("[]")
        return ({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port or 8000))


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would configure a server, and `extra`."""
    ours = {"GUNICORN_CMD_ARGS", "GUNICORN_FD", "GUNICORN_PID", "WEB_CONCURRENCY", "PORT"}
    ours |= {"FORWARDED_ALLOW_IPS", "SENDFILE", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"}
    # With this a line that is printed is written in pieces, between those of other processes.
    ours.add("PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **extra}


@contextlib.contextmanager
def started_in_test() -> Iterator[list[Server]]:
    """The list to put servers in that a test starts: what still runs at its end is told to stop.

    Each must end with 0 then, leave no process, and have kept what was promised of its log. Their
    logs are shown when the test fails.
    """
    servers: list[Server] = []
    try:
        yield servers
        for server in servers:
            if server.process.poll() is None:
                assert server.stop() == 0
            server.assert_nothing_left()
            server.assert_promised()
    finally:
        for server in servers:
            server.clean_up()
            print(f"--- log of {server.command} ---\n{server.log()}")  # pytest shows it on failure
