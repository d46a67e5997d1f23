"""The arbiter among other processes: pidfile, daemon, PID 1, service manager."""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.arbiter.conftest import TINY, Serve
from tests.processes import kill_family, open_files
from tests.servers import HELLO, alive, free_port, processes, until


def test_a_pidfile_names_the_arbiter_while_it_lives(serve: Serve, tmp_path: Path) -> None:
    server = serve("--pid", "run.pid")
    server.get("/")
    assert (tmp_path / "run.pid").read_text() == f"{server.pid}\n"
    assert server.stop() == 0
    assert not (tmp_path / "run.pid").exists()


@pytest.mark.parametrize("text", ["", "garbage\n", "999999999\n", "-1\n"])
def test_a_stale_pidfile_is_replaced(serve: Serve, tmp_path: Path, text: str) -> None:
    (tmp_path / "run.pid").write_text(text)
    server = serve("--pid", "run.pid")
    assert (tmp_path / "run.pid").read_text() == f"{server.pid}\n"


def test_a_live_pidfile_is_refused(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "run.pid"
    path.write_text(f"{os.getpid()}\n")
    server = serve("--pid", "run.pid", wait=False)
    assert server.wait() == 1
    assert f"pidfile {path} belongs to process {os.getpid()}, which is running" in server.log()
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_pidfile_whose_number_is_another_programs_is_replaced(
    serve: Serve, tmp_path: Path
) -> None:
    """After a crash, or in a container that was started anew: the number says nothing."""
    with subprocess.Popen(["sleep", "60"]) as stranger:
        path = tmp_path / "run.pid"
        path.write_text(f"{stranger.pid}\n")
        before = time.time() - 5
        os.utime(path, (before, before))
        server = serve("--pid", "run.pid")
        assert path.read_text() == f"{server.pid}\n"
        stranger.kill()


def test_the_pidfile_of_a_live_server_is_refused_whatever_its_age(
    serve: Serve, tmp_path: Path
) -> None:
    first = serve("--pid", "run.pid")
    os.utime(tmp_path / "run.pid", (1, 1))
    first.get("/")
    second = serve("--pid", "run.pid", wait=False)
    assert second.wait() == 1
    assert f"belongs to process {first.pid}, which is running" in second.log()


def test_no_worker_can_write_into_the_pidfile(serve: Serve, tmp_path: Path) -> None:
    """It would choose whom an init script ends."""
    for options in ((), ("--preload",)):
        server = serve("--pid", "run.pid", *options)
        server.get("/")
        for pid in server.workers():
            assert str(tmp_path / "run.pid") not in open_files(pid)
        assert server.stop() == 0


def test_after_a_crash_workers_that_linger_do_not_hold_the_pidfile(
    serve: Serve, tmp_path: Path
) -> None:
    first = serve("--pid", "run.pid", files={"app.py": LINGERING})
    with first.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        first.until((tmp_path / "begun").exists, "a request in progress")
        first.process.kill()
        first.wait()
        second = serve("--pid", "run.pid")
        assert (tmp_path / "run.pid").read_text() == f"{second.pid}\n"
        (tmp_path / "go").touch()
        assert client.recv(4096)
    first.assert_nothing_left()


LINGERING = """\
import os, time
def app(environ, start_response):
    open("begun", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.02)
    return [b"late"]
"""


def test_a_pidfile_that_cannot_be_written(serve: Serve, tmp_path: Path) -> None:
    server = serve("--pid", "no/such/folder/pid", wait=False)
    assert server.wait() == 1
    assert "no/such/folder/pid cannot be written: No such file or directory" in server.log()


def test_a_daemon(tmp_path: Path) -> None:
    pidfile, port = tmp_path / "pid", free_port()
    (tmp_path / "app.py").write_text(HELLO)
    (tmp_path / "tiny.py").write_text(TINY)
    command = [sys.executable, "-m", "gunicorn", "--daemon", "--pid", "pid", "-k", "tiny.Tiny"]
    command += ["--bind", f"127.0.0.1:{port}", "--error-logfile", "error.log", "app:app"]
    done = subprocess.run(command, cwd=tmp_path, timeout=20, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    until(pidfile.exists, "a pidfile")
    pid = int(pidfile.read_text())
    try:
        stat = next(process for process in processes() if process.pid == pid)
        assert stat.session not in {os.getsid(0), pid}, "its own session, and not its leader"
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
        assert os.readlink(f"/proc/{pid}/fd/1") == "/dev/null"
        until(lambda: _answers(port), "an answer")
        os.kill(pid, signal.SIGUSR2)
        second = tmp_path / "pid.2"
        until(second.exists, "the new arbiter")
        new = int(second.read_text())
        until(lambda: any(process.ppid == new for process in processes()), "its worker")
        os.kill(pid, signal.SIGTERM)
        until(lambda: not alive(pid), "the end of the old daemon")
        until(lambda: pidfile.exists() and int(pidfile.read_text()) == new, "the promotion")
        pid = new
        os.kill(pid, signal.SIGWINCH)
        log = tmp_path / "error.log"
        until(lambda: "Stopping the workers gracefully" in log.read_text(), "WINCH is obeyed")
        os.kill(pid, signal.SIGTERM)
        until(lambda: not alive(pid), "the end of the daemon")
    finally:
        kill_family(pid)
    assert not pidfile.exists()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return client.recv(4096).endswith(b"hello")
    except OSError:
        return False


SUBREAPER = """\
import ctypes, runpy, sys
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
sys.argv[0] = "gunicorn"
runpy.run_module("gunicorn", run_name="__main__")
"""

ORPHANS = """\
import os
def app(environ, start_response):
    child = os.fork()
    if child == 0:
        orphan = os.fork()
        if orphan == 0:
            os._exit(3)
        os._exit(0)
    os.waitpid(child, 0)
    return [b"done"]
"""


def test_orphans_are_adopted_and_buried_quietly(serve: Serve, tmp_path: Path) -> None:
    """As PID 1 of a container: a subreaper inherits orphans as process 1 does (prctl(2))."""
    (tmp_path / "reaper.py").write_text(SUBREAPER)
    server = serve(
        "--log-level", "debug", command=[sys.executable, "reaper.py"], files={"app.py": ORPHANS}
    )
    workers = server.wait_workers(2)
    for _ in range(5):
        assert server.get("/").text == "done"
    server.wait_for(r"\[DEBUG\] Reaped process \d+, which is not a worker", count=5)
    children = {
        int(name)
        for name in os.listdir("/proc")
        if name.isdigit() and _parent_of(int(name)) == server.pid
    }
    assert children == set(workers), "no zombies, and no worker lost"
    server.never_says("ERROR")


def _parent_of(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


class Manager:
    """The part of systemd that a service talks to."""

    def __init__(self, path: Path, *, credentials: bool = False) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(20)
        if credentials:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def next(self) -> dict[str, str]:
        return self.next_from()[1]

    def next_from(self) -> tuple[int, dict[str, str]]:
        """The process that says something (0 when that is not asked for), and what it says."""
        data, extra, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
        sender = struct.unpack("3i", extra[0][2])[0] if extra else 0
        return sender, dict(line.split("=", 1) for line in data.decode().splitlines())

    def next_at(self) -> tuple[float, dict[str, str]]:
        """What is said next, and when."""
        message = self.next()
        return time.monotonic(), message

    def until(self, message: dict[str, str], sender: int = 0) -> None:
        """Wait for `message`, whatever is said before."""
        deadline = time.monotonic() + 20
        while self.next_from() != (sender, message):
            assert time.monotonic() < deadline


def test_the_service_manager_is_told(serve: Serve, tmp_path: Path) -> None:
    manager = Manager(tmp_path / "notify")
    with manager.socket:
        server = serve(env={"NOTIFY_SOCKET": manager.path})
        ready = manager.next()
        assert ready["READY"] == "1"
        assert ready["MAINPID"] == str(server.pid)
        assert f"127.0.0.1:{server.port}" in ready["STATUS"]
        before = time.monotonic()
        server.send_signal(signal.SIGHUP)
        reloading = manager.next()
        assert reloading["RELOADING"] == "1"
        assert before <= int(reloading["MONOTONIC_USEC"]) / 1e6 <= time.monotonic()
        done = manager.next()
        assert done["READY"] == "1"
        assert done["STATUS"] == ready["STATUS"], "whatever became of an earlier reload"
        assert server.stop() == 0
        assert manager.next() == {"STOPPING": "1"}


@pytest.mark.parametrize(
    ("name", "broken", "status"),
    [
        (
            "app.py",
            "1 / 0\n",
            r"Reload called off: worker \d+ of the new generation failed to boot",
        ),
        ("gunicorn.conf.py", "timeout = 'soon'\n", r"Reload called off: .*timeout = 'soon'.*"),
    ],
)
def test_the_service_manager_is_told_of_a_reload_that_is_called_off(
    serve: Serve, tmp_path: Path, name: str, broken: str, status: str
) -> None:
    manager = Manager(tmp_path / "notify")
    with manager.socket:
        server = serve(env={"NOTIFY_SOCKET": manager.path})
        assert manager.next()["READY"] == "1"
        (tmp_path / name).write_text(broken)
        server.send_signal(signal.SIGHUP)
        assert manager.next()["RELOADING"] == "1"
        assert manager.next() == {"READY": "1"}, "it serves, as before"
        assert re.fullmatch(status, manager.next()["STATUS"])
        assert server.stop() == 0
        assert manager.next() == {"STOPPING": "1"}


@pytest.mark.parametrize("options", [(), ("--shutdown-delay", "60")])
def test_the_service_manager_follows_an_upgrade(
    serve: Serve, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """There is nothing to wait for, nor to tell, where another arbiter goes on."""
    manager = Manager(tmp_path / "notify")
    with manager.socket:
        server = serve(*options, env={"NOTIFY_SOCKET": manager.path})
        assert manager.next()["MAINPID"] == str(server.pid)
        server.send_signal(signal.SIGUSR2)
        new = int(server.wait_for(r"Started a new master \(pid: (\d+)\)")[1])
        server.wait_workers(2, pid=new)
        server.wait_for(rf"\[{new}\] \[INFO\] Using worker")
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert manager.next() == {"MAINPID": str(new)}, "the old one hands over, and only then"
        taken = manager.next()
        assert (taken["READY"], taken["MAINPID"]) == ("1", str(new))
        os.kill(new, signal.SIGQUIT)
        assert manager.next() == {"STOPPING": "1"}
        server.assert_nothing_left(timeout=20)


@pytest.mark.alone
@pytest.mark.parametrize("named", [True, False])
def test_signs_of_life_for_the_watchdog(serve: Serve, tmp_path: Path, named: bool) -> None:
    """Twice in the time after which the manager would kill the service; idle or at a reload."""
    manager = Manager(tmp_path / "notify")
    (tmp_path / "watched.py").write_text(WATCHED)
    with manager.socket:
        server = serve(
            command=[sys.executable, "watched.py", "named" if named else "anybody"],
            env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"},
        )
        seen = [manager.next_at() for _ in range(12)]
        times = [at for at, message in seen if message == {"WATCHDOG": "1"}]
        assert len(times) >= 8
        gaps = [after - before for before, after in pairwise(times)]
        assert sorted(gaps)[len(gaps) // 2] < 0.35, "the median, as the machine may be busy"
        assert sum(gaps) / len(gaps) > 0.15, "no more of them than it takes"
        server.send_signal(signal.SIGHUP)
        server.wait_for("Reload done")
        manager.until({"WATCHDOG": "1"})
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0


def test_no_signs_of_life_where_nobody_waits_for_them(serve: Serve, tmp_path: Path) -> None:
    manager = Manager(tmp_path / "notify")
    for variables in ({}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "0"}, ANOTHERS):
        server = serve(env={"NOTIFY_SOCKET": manager.path, **variables})
        said = [manager.next()]
        assert server.get("/").status == 200
        assert server.stop() == 0
        while said[-1] != {"STOPPING": "1"}:
            said.append(manager.next())
        assert not any("WATCHDOG" in message for message in said), variables
    manager.socket.close()


def test_an_upgrade_hands_the_watchdog_over(serve: Serve, tmp_path: Path) -> None:
    """Also while the old arbiter, which is not the main process any more, finishes requests."""
    manager = Manager(tmp_path / "notify", credentials=True)
    (tmp_path / "watched.py").write_text(WATCHED)
    with manager.socket:
        server = serve(
            command=[sys.executable, "watched.py", "named"],
            env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"},
        )
        server.get("/")
        server.send_signal(signal.SIGUSR2)
        new = int(server.wait_for(r"Started a new master \(pid: (\d+)\)")[1])
        server.wait_workers(2, pid=new)
        manager.until({"WATCHDOG": "1"}, sender=new)
        manager.until({"WATCHDOG": "1"}, sender=server.pid)
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        for _ in range(3):
            manager.until({"WATCHDOG": "1"}, sender=new)
        os.kill(new, signal.SIGTERM)
        server.assert_nothing_left(timeout=20)


WATCHED = """\
import os, sys
if sys.argv[1] == "named":
    os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *sys.argv[2:]])
"""
ANOTHERS = {"WATCHDOG_USEC": "400000", "WATCHDOG_PID": "1"}


ACTIVATE = """\
import os, socket, sys
listener = socket.socket(socket.AF_UNIX) if "/" in sys.argv[1] else socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(sys.argv[1] if "/" in sys.argv[1] else ("127.0.0.1", int(sys.argv[1])))
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *sys.argv[2:]])
"""


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_sockets_of_the_service_manager(serve: Serve, tmp_path: Path, kind: str) -> None:
    (tmp_path / "activate.py").write_text(ACTIVATE)
    path = tmp_path / "activated.sock"
    port = free_port()
    where = str(path) if kind == "unix" else str(port)
    server = serve(
        bind="",
        address=str(path) if kind == "unix" else ("127.0.0.1", port),
        command=[sys.executable, "activate.py", where],
    )
    assert server.get("/").text == "hello"
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    assert server.get("/").text == "hello"
    server.send_signal(signal.SIGUSR2)
    started = server.wait_for(r"Started a new master \(pid: (\d+)\)")
    new = int(started[1])
    server.wait_workers(2, pid=new)
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    server.wait_for("Master has been promoted")
    assert server.get("/").text == "hello"
    os.kill(new, signal.SIGTERM)
    server.assert_nothing_left(timeout=20)
    if kind == "unix":
        assert path.exists(), "the manager's file stays"
