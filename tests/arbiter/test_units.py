"""The parts of the arbiter by themselves."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gunicorn.arbiter.backoff import FIRST, LONGEST, Backoff
from gunicorn.arbiter.generation import Generation
from gunicorn.arbiter.pidfile import Pidfile
from gunicorn.arbiter.pool import SETTLING, Member, WorkerPool
from gunicorn.arbiter.reaper import Death, ended_children
from gunicorn.arbiter.signals import WATCHED, SignalQueue, name_of
from gunicorn.arbiter.upgrade import Command, inherited_fds, inherited_parent
from gunicorn.arbiter.watch import hangs
from gunicorn.errors import HaltServer
from gunicorn.scoreboard import BOOTED, Slot

# -- pidfile ---------------------------------------------------------------------------------------


def test_pidfile_is_whole_and_alone(tmp_path: Path) -> None:
    pidfile = Pidfile(str(tmp_path / "pid"))
    pidfile.create(os.getpid())
    assert (tmp_path / "pid").read_text() == f"{os.getpid()}\n"
    assert os.listdir(tmp_path) == ["pid"], "no temporary file is left"
    assert (tmp_path / "pid").stat().st_mode & 0o777 == 0o644
    pidfile.unlink()
    assert os.listdir(tmp_path) == []
    pidfile.unlink()


def test_pidfile_of_another_process_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    mine = Pidfile(str(path))
    mine.create(os.getpid())
    path.write_text("1\n")
    mine.unlink()
    assert path.read_text() == "1\n"
    with pytest.raises(HaltServer, match="belongs to process 1, which is running"):
        Pidfile(str(path)).create(os.getpid())


def test_pidfile_of_the_same_pid_is_stale(tmp_path: Path) -> None:
    """In a container the arbiter has the same pid at every start."""
    path = tmp_path / "pid"
    path.write_text(f"{os.getpid()}\n")
    Pidfile(str(path)).create(os.getpid())
    assert path.read_text() == f"{os.getpid()}\n"


def test_pidfile_of_a_zombie_is_stale(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    child = subprocess.Popen(["true"])
    path.write_text(f"{child.pid}\n")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    Pidfile(str(path)).create(os.getpid())
    assert path.read_text() == f"{os.getpid()}\n"
    child.wait()


def test_pidfile_moves(tmp_path: Path) -> None:
    pidfile = Pidfile(str(tmp_path / "pid.2"))
    pidfile.create(os.getpid())
    (tmp_path / "pid").write_text("stale")
    pidfile.rename(str(tmp_path / "pid"))
    assert os.listdir(tmp_path) == ["pid"]
    (tmp_path / "pid").unlink()
    pidfile.rename(str(tmp_path / "other"))
    assert (tmp_path / "other").read_text() == f"{os.getpid()}\n"
    (tmp_path / "taken").write_text("1\n")
    with pytest.raises(HaltServer, match="belongs to process 1"):
        pidfile.rename(str(tmp_path / "taken"))
    assert pidfile.read() == os.getpid()


def test_pidfile_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "pid").mkdir()
    with pytest.raises(HaltServer, match="cannot be read: Is a directory"):
        Pidfile(str(tmp_path / "pid")).create(1)
    assert os.listdir(tmp_path) == ["pid"], "no temporary file is left"


def test_pidfile_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pid")
    with pytest.raises(HaltServer, match="cannot be read: Invalid argument"):
        Pidfile(str(tmp_path / "pid")).create(1)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs, and is not ours to begin with."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_pidfile_whose_number_is_a_younger_programs_is_stale(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{stranger.pid}\n")
    with pytest.raises(HaltServer, match=f"belongs to process {stranger.pid}"):
        Pidfile(str(path)).create(os.getpid())
    before = time.time() - 5
    os.utime(path, (before, before))
    Pidfile(str(path)).create(os.getpid())
    assert path.read_text() == f"{os.getpid()}\n"


def test_pidfile_that_is_locked_belongs_to_whoever_it_names(tmp_path: Path) -> None:
    """Whatever time it bears: a backup may have been restored, or the clock set."""
    path = tmp_path / "pid"
    code = (
        "import os, sys\n"
        "from gunicorn.arbiter.pidfile import Pidfile\n"
        "file = Pidfile(sys.argv[1])\n"
        "file.create(os.getpid())\n"
        "print(flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        os.utime(path, (1, 1))
        with pytest.raises(HaltServer, match=f"belongs to process {owner.pid}"):
            Pidfile(str(path)).create(os.getpid())
        owner.kill()
        owner.wait()
        Pidfile(str(path)).create(os.getpid())


def test_pidfile_where_there_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stranger: subprocess.Popen[bytes]
) -> None:
    """As on some network file systems: the age of the process decides."""

    def refuse(_fd: int, _command: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    path = tmp_path / "pid"
    path.write_text(f"{stranger.pid}\n")
    with pytest.raises(HaltServer, match="belongs to process"):
        Pidfile(str(path)).create(os.getpid())
    os.utime(path, (1, 1))
    Pidfile(str(path)).create(os.getpid())
    assert path.read_text() == f"{os.getpid()}\n"


# -- signals ---------------------------------------------------------------------------------------


@pytest.fixture
def queue() -> Iterator[SignalQueue]:
    before = {signum: signal.getsignal(signum) for signum in WATCHED}
    made = SignalQueue()
    made.install()
    yield made
    made.forget()
    for signum, handler in before.items():
        signal.signal(signum, handler)


def test_signals_come_in_order_and_end_the_wait(queue: SignalQueue) -> None:
    for signum in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM):
        os.kill(os.getpid(), signum)
    began = time.monotonic()
    assert queue.wait(30) == [signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM]
    assert time.monotonic() - began < 10
    assert queue.wait(0) == []


def test_only_counted_signals_are_queued_twice(queue: SignalQueue) -> None:
    for signum in (signal.SIGHUP, signal.SIGTTIN, signal.SIGHUP, signal.SIGTTIN):
        queue.push(signum)
    assert queue.wait(0) == [signal.SIGHUP, signal.SIGTTIN, signal.SIGTTIN]


def test_a_signal_held_back_comes_afterwards(queue: SignalQueue) -> None:
    with queue.held():
        # To this thread, the one that forks; others that there may be hold nothing back.
        signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
        assert queue.wait(0) == []
    assert queue.wait(5) == [signal.SIGHUP]


def test_a_signal_interrupts_the_wait_of_another_process(queue: SignalQueue) -> None:
    child = subprocess.Popen(["sleep", "0"])
    assert queue.wait(30) == [signal.SIGCHLD]
    child.wait()


def test_names() -> None:
    assert name_of(signal.SIGTERM) == "SIGTERM"
    assert name_of(63) == "signal 63"


# -- reaper ----------------------------------------------------------------------------------------


def test_deaths_are_read_from_wait(tmp_path: Path) -> None:
    code = "import os, sys\nos.kill(os.getpid(), 9) if sys.argv[1] == 'k' else sys.exit(4)"
    expected = {}
    for argument in ("k", "x"):
        expected[os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", code, argument])] = (
            argument
        )
    found: dict[int, Death] = {}
    deadline = time.monotonic() + 20
    while len(found) < 2 and time.monotonic() < deadline:
        for death in ended_children():
            found[death.pid] = death
        time.sleep(0.01)
    assert set(expected) == set(found)
    for pid, argument in expected.items():
        want = Death(pid, signum=9) if argument == "k" else Death(pid, code=4)
        assert found[pid] == want


@pytest.mark.parametrize(
    ("death", "expected", "level", "text"),
    [
        (
            Death(5, code=0),
            False,
            logging.INFO,
            "exited with code 0; the arbiter had not asked it to.",
        ),
        (Death(5, code=0), True, logging.DEBUG, "exited with code 0."),
        (Death(5, code=3), False, logging.ERROR, "exited with code 3."),
        (Death(5, signum=9), False, logging.ERROR, "was sent SIGKILL! Perhaps out of memory?"),
        (Death(5, signum=9), True, logging.INFO, "was sent SIGKILL!"),
        (Death(5, signum=15), False, logging.WARNING, "was sent SIGTERM!"),
        (Death(5, signum=11), False, logging.ERROR, "was sent SIGSEGV!"),
    ],
)
def test_reports(death: Death, expected: bool, level: int, text: str) -> None:
    assert death.report(expected=expected) == (level, f"Worker (pid:5) {text}")


# -- back-off --------------------------------------------------------------------------------------


def test_backoff_doubles_by_rounds_up_to_a_bound() -> None:
    backoff, now, delays = Backoff(), 100.0, []
    for _ in range(9):
        delays.append(backoff.failed(now))
        assert not backoff.over(now)
        assert backoff.failed(now) == pytest.approx(delays[-1]), "the same round"
        now = backoff.until
        assert backoff.over(now)
    assert delays[:3] == pytest.approx([FIRST, 2 * FIRST, 4 * FIRST])
    assert delays[-1] == pytest.approx(LONGEST)
    assert backoff.rounds == 9
    backoff.failed(now)
    assert not backoff.over(now)
    backoff.succeeded()
    assert backoff.over(now), "whoever waits need not any more"
    assert backoff.failed(now) == pytest.approx(FIRST)


# -- pool and rollover -----------------------------------------------------------------------------


def generation(number: int, timeout: float = 30, graceful: float = 30) -> Generation:
    nothing: Any = SimpleNamespace()
    return Generation(number, nothing, nothing, [], timeout, graceful)


def worker(pid: int, *, booted: bool = False) -> Any:
    slot = Slot()
    slot.clear()
    slot.booted = booted
    return SimpleNamespace(pid=pid, tmp=slot)


def add(pool: WorkerPool, made: Any, of: Generation) -> Member:
    return pool.add(made, of, made.tmp.last_update())


def test_pool_groups_by_generation() -> None:
    pool, one, two = WorkerPool(), generation(1), generation(2)
    first, second = add(pool, worker(11), one), add(pool, worker(12), one)
    third = add(pool, worker(13), two)
    assert list(pool.workers) == [11, 12, 13]
    assert pool.serving(one) == [first, second]
    first.retired = 1.0
    assert pool.serving(one) == [second]
    assert pool.others(two) == [second]
    assert pool.remove(13) is third
    assert pool.remove(13) is None
    assert len(pool) == 2


def test_pool_knows_the_silent_and_the_overdue() -> None:
    pool = WorkerPool()
    patient, strict = generation(1, timeout=0), generation(2, timeout=10, graceful=5)
    add(pool, worker(1), patient)
    watched = add(pool, worker(2), strict)
    now = watched.started
    watched.worker.tmp.notify()
    watched.started -= 1
    last = watched.worker.tmp.last_update()
    assert not hangs(watched, last + 9)
    assert "no sign of life for 11.0 s (timeout is 10 s)" in hangs(watched, last + 11)
    assert pool.overdue(now + 100) == []
    watched.retired = now
    assert pool.overdue(now + 5.5) == [], "the worker may end by itself"
    assert pool.overdue(now + 7) == [watched]
    watched.killed = True
    assert pool.overdue(now + 7) == []


def test_a_heartbeat_counts_as_booted() -> None:
    member = Member(worker(1), generation(1), time.monotonic())
    assert not member.booted
    member.worker.tmp.notify()
    assert member.booted


def test_a_worker_that_does_not_notify_has_booted_a_moment_after_loading() -> None:
    member = Member(worker(1), generation(1), time.monotonic() + 0.5)
    slot = member.worker.tmp
    slot.booted = True
    assert not member.booted, "it may still fail before it serves"
    slot.cells[BOOTED] -= SETTLING + 1
    assert member.booted


def test_each_booted_worker_retires_one_old() -> None:
    pool, old, new = WorkerPool(), generation(1), generation(2)
    for pid in (1, 2, 3):
        add(pool, worker(pid, booted=True), old).worker.tmp.notify()
    started: list[Member] = []
    retired: list[int] = []
    for count in range(1, 4):
        step = pool.passage(new, 3)
        assert (step.retire, step.start) == ([], 1), "one beyond the number wanted"
        started.append(add(pool, worker(3 + count), new))
        assert pool.passage(new, 3).start == 0, "the surge is used up"
        started[-1].worker.tmp.notify()
        step = pool.passage(new, 3)
        assert [member.pid for member in step.retire] == [count]
        for member in step.retire:
            member.retired = 1.0
            retired.append(member.pid)
    assert retired == [1, 2, 3]
    assert (pool.passage(new, 3).retire, pool.passage(new, 3).start) == ([], 0)


def test_fewer_workers_are_wanted_than_there_were() -> None:
    pool, old, new = WorkerPool(), generation(1), generation(2)
    for pid in (1, 2, 3):
        add(pool, worker(pid, booted=True), old).worker.tmp.notify()
    assert pool.passage(new, 1).retire == [], "all serve until the new one does"
    assert pool.passage(new, 1).start == 1
    add(pool, worker(4), new).worker.tmp.notify()
    assert [member.pid for member in pool.passage(new, 1).retire] == [1, 2, 3]


def test_a_worn_worker_goes_when_its_successor_has_booted() -> None:
    pool, only = WorkerPool(), generation(1)
    members = [add(pool, worker(pid, booted=True), only) for pid in (1, 2)]
    for member in members:
        member.worker.tmp.notify()
    members[1].worker.tmp.spent = True
    assert (pool.passage(only, 2).retire, pool.passage(only, 2).start) == ([], 1)
    fresh = add(pool, worker(3), only)
    assert (pool.passage(only, 2).retire, pool.passage(only, 2).start) == ([], 0)
    fresh.worker.tmp.notify()
    assert (pool.passage(only, 2).retire, pool.passage(only, 2).start) == ([members[1]], 0)


@pytest.mark.parametrize(
    ("surge", "wanted", "beyond"),
    [(1, 8, 1), (3, 1, 3), ("25%", 8, 2), ("25%", 9, 3), ("5%", 2, 1)],
)
def test_the_surge_is_a_number_or_a_share(surge: int | str, wanted: int, beyond: int) -> None:
    made = generation(1)
    made.surge = surge
    assert made.beyond(wanted) == beyond
    pool = WorkerPool()
    for pid in range(wanted):
        add(pool, worker(pid, booted=True), generation(0)).worker.tmp.notify()
    assert pool.passage(made, wanted).start == min(beyond, wanted)


# -- upgrade ---------------------------------------------------------------------------------------


def test_what_the_old_arbiter_left_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNICORN_FD", "5,7")
    monkeypatch.setenv("GUNICORN_PID", str(os.getppid()))
    assert inherited_fds() == ([5, 7], "")
    assert inherited_fds() == ([], "")
    assert inherited_parent() == os.getppid()
    assert inherited_parent() == 0
    monkeypatch.setenv("GUNICORN_PID", "1234567")
    assert inherited_parent() == 0, "left by somebody who is not our parent"


def test_the_command_keeps_the_folder_as_it_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path / "link")
    monkeypatch.setenv("PWD", str(tmp_path / "link"))
    assert Command().cwd == str(tmp_path / "link")
    monkeypatch.setenv("PWD", "/somewhere/else")
    assert Command().cwd == str(tmp_path / "real")
    assert Command().arguments == tuple(sys.orig_argv)
