"""One server of the matrix, from its start to its end.

A process of its own, the reaper, starts the command and inherits whatever outlives its parent (a
daemon does): it notes every exit code, and ends when nothing is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import pwd
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import readable
from tests.certificates import Certificate, write_pair
from tests.client import Client
from tests.matrix import applications
from tests.matrix.deployments import Deployment
from tests.matrix.logs import Logs, Requests
from tests.ports import free_port
from tests.processes import alive, open_files, processes
from tests.servers import clean_environment
from tests.waiting import until

REAPER = """\
import ctypes, os, sys
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-m", "gunicorn", *sys.argv[1:]])
with open("ends", "w", buffering=1) as ends:
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            break
        print(pid, os.waitstatus_to_exitcode(status), file=ends)
"""

BODY = bytes(range(256)) * 400
MAX_REQUESTS = 3


class Run:
    """A server that runs as the deployment says, in `folder`."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment = deployment
        self.folder = folder
        self.asked: Requests = Counter()
        self.asked_before_usr1: Requests = Counter()
        self.number = 0
        self.printed: list[str] = []
        self.failed: list[str] = []
        self.crashed: list[str] = []
        applications.write(deployment.framework, folder)
        self.logs = Logs(deployment.logs, folder)
        environment = {"GUNICORN_PURE_PYTHON": "1"} if deployment.parser == "python" else {}
        if deployment.user == "nobody":
            environment |= readable.environment()
            os.chown(folder / "logs", pwd.getpwnam("nobody").pw_uid, -1)
        certificate = Certificate(*write_pair(folder, "server"))
        # The server reads its key as root; what reads it anew as nobody must be able to.
        nobody = deployment.user == "nobody" and deployment.framework == "fastapi"
        Path(certificate.keyfile).chmod(0o644 if nobody else 0o600)
        tls = deployment.socket == "tls"
        port = free_port()
        bind = f"127.0.0.1:{port}" if deployment.socket != "unix" else f"unix:{folder}/socket"
        self.client = Client(
            str(folder / "socket") if deployment.socket == "unix" else ("127.0.0.1", port),
            certificate.client() if tls else None,
        )
        options = ["--bind", bind, "--pid", "pid", "--workers", deployment.workers]
        options += ["--worker-class", deployment.worker_class, *self.logs.options]
        options += certificate.args if tls else []
        options += ["--preload"] if deployment.loading == "preload" else []
        options += ["--daemon"] if deployment.process == "daemon" else []
        options += ["--user", "nobody"] if deployment.user == "nobody" else []
        if deployment.recycling == "recycled":
            options += ["--max-requests", str(MAX_REQUESTS)]
        self.command = [*options, applications.APPLICATIONS[deployment.framework]]
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            self.reaper = subprocess.Popen(
                [sys.executable, "-c", REAPER, *self.command],
                cwd=folder,
                env=clean_environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.pid = 0

    # -- what happens ------------------------------------------------------------------------

    def wait_ready(self) -> None:
        """Wait until connections are accepted, and the workers are there."""

        def ready() -> bool:
            assert self.reaper.poll() is None, f"ended at its start: {self.ends()}"
            try:
                self.client.connect(handshake=False).close()
            except OSError:
                return False
            return True

        until(ready, "listening")
        self.pid = int(until((self.folder / "pid").read_text, "a pidfile"))
        until(lambda: len(self.children()) >= self.wanted_children, "workers")

    def request(self, path: str) -> None:
        """One request, whose answer must be right."""
        self.number += 1
        n = str(self.number)
        method, body = ("POST", BODY) if path == "/echo" else ("GET", None)
        try:
            reply = self.client.request(method, f"{path}?{n}", body)
        except (http.client.RemoteDisconnected, ConnectionResetError):
            if not self.may_drop_connections:
                raise
            reply = self.client.request(method, f"{path}?{n}", body)
        status = 500 if path in {"/error", "/crash"} else 200
        assert reply.status == status, f"{path}?{n}: {reply}"
        self.asked[method, f"{path}?{n}", status] += 1
        if path == "/hello":
            self.printed.append(n)
            assert reply.body == b"hello"
        elif path == "/echo":
            assert reply.text == hashlib.sha256(BODY).hexdigest()
        else:
            (self.failed if path == "/error" else self.crashed).append(n)

    @property
    def may_drop_connections(self) -> bool:
        """At its limit of requests uvicorn's own server closes connections without a request."""
        return (self.deployment.framework, self.deployment.recycling) == ("fastapi", "recycled")

    def recycled(self, before: set[int]) -> None:
        """Wait until a worker has made way after its number of requests."""
        until(lambda: self.children() - before, "another worker")
        self.settle()

    def settle(self) -> None:
        """Wait until no worker is left that has had its number of requests.

        They stay until their successors have booted; one that is told to end while it boots may
        leave a half-made thing behind, of which the interpreter complains.
        """

        def spent() -> list[int]:
            pids = re.findall(r"\[(\d+)\] (?:\[INFO\] )?Autorestarting", self.logs.error())
            return [pid for pid in map(int, pids) if alive(pid)]

        until(lambda: not spent(), "successors of spent workers")

    def reload(self) -> None:
        """HUP, waited for: no process of before serves any more."""
        before = self.children()
        os.kill(self.pid, signal.SIGHUP)

        def done() -> bool:
            now = self.children()
            return not now & before and len(now) >= self.wanted_children

        until(done, "workers of another generation alone")

    def rotate(self) -> None:
        """Move the log files away, and USR1, waited for: nobody writes into the old ones."""
        until(lambda: self.logs.requests(self.logs.access()) == self.asked, "the access lines")
        self.asked_before_usr1 = self.asked.copy()
        self.logs.rotate()
        os.kill(self.pid, signal.SIGUSR1)
        said = "Handling signal: usr1"
        until(lambda: said in self.logs.error(), "word of the signal in the log")

        try:
            until(lambda: not self.holders(), "the new files in every process")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.holders()}, arbiter {self.pid}") from None

    def stop(self) -> None:
        """TERM: the arbiter ends with 0, and nothing is left of it."""
        self.settle()
        os.kill(self.pid, signal.SIGTERM)
        until(lambda: self.reaper.poll() is not None, f"the end of {self.family()}")
        assert self.ends()[self.pid] == 0
        assert not (self.folder / "pid").exists()
        assert not (self.folder / "socket").exists()

    def clean_up(self) -> None:
        """Kill what is still there."""
        family = self.family()
        self.reaper.kill()
        self.reaper.wait()
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # -- who is there ------------------------------------------------------------------------

    def holders(self) -> dict[int, list[str]]:
        """The processes that still have rotated files open, and which."""
        found = {}
        for pid in (self.pid, *self.children()):
            with contextlib.suppress(FileNotFoundError):
                found[pid] = [path for path in open_files(pid) if path.endswith(".log.1")]
        return {pid: paths for pid, paths in found.items() if paths}

    @property
    def wanted_children(self) -> int:
        return int(self.deployment.workers) + (self.deployment.loading == "preload")

    def children(self) -> set[int]:
        """The workers, and with preloading their template."""
        return {process.pid for process in processes() if process.ppid == self.pid}

    def family(self) -> list[int]:
        """Every process of the session of the reaper, and of the arbiter's if it has its own."""
        sessions = {self.reaper.pid}
        if self.pid and alive(self.pid):
            sessions.add(os.getsid(self.pid))
        return [process.pid for process in processes() if process.session in sessions]

    def ends(self) -> dict[int, int]:
        """The exit codes of the children that the reaper has had."""
        lines = (self.folder / "ends").read_text().splitlines()
        return dict(tuple(map(int, line.split())) for line in lines)  # type: ignore[misc]

    def texts(self) -> dict[str, str]:
        """What can be read of the error log and of standard error, which may be the same."""
        texts = {"error": self.logs.error(), "err": self.logs.stream("err")}
        if self.deployment.logs == "streams":
            del texts["error"]
        if self.deployment.process == "daemon":
            assert texts.pop("err") == ""
        return texts

    def __str__(self) -> str:
        parts: dict[str, Callable[[], Any]] = {
            "command": lambda: " ".join(self.command),
            "standard output": lambda: self.logs.stream("out"),
            "standard error": lambda: self.logs.stream("err"),
            "error log": self.logs.error,
            "access log": self.logs.access,
        }
        return "\n".join(f"--- {name} ---\n{part()}" for name, part in parts.items())
