"""Faults on purpose, under load: nobody but the client of a killed worker may notice."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.conftest import Serve
from tests.faults.load import APP, Load
from tests.ports import free_port
from tests.servers import Server, alive, until

SLOW_IMPORT = "import time\ntime.sleep(2)\n" + APP


def reload(server: Server, count: int, words: str = "Reload done", timeout: float = 30) -> None:
    server.send_signal(signal.SIGHUP)
    server.wait_for(words, timeout, count=count)


def assert_smooth(load: Load, slowest: float = 1.5) -> None:
    """Nobody failed, and nobody waited for a boot: this holds on a noisy machine too."""
    assert load.failures == []
    assert load.extra(0.99) < 0.25
    assert load.extra() < slowest


def assert_unnoticed(load: Load) -> None:
    """Nobody failed, and not one request was late."""
    assert load.failures == []
    assert load.late == 0


@pytest.mark.alone
def test_a_few_reloads(serve: Serve) -> None:
    server = serve("-w", "2")
    with Load(server) as load:
        load.settle()
        for count in range(1, 4):
            reload(server, count)
    load.report("3 reloads")
    assert_unnoticed(load)
    assert len(load.workers) >= 6


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--preload",)])
def test_twenty_reloads(serve: Serve, options: tuple[str, ...]) -> None:
    server = serve("-w", "2", *options)
    with Load(server) as load:
        load.settle()
        for count in range(1, 21):
            reload(server, count)
    load.report(f"20 reloads {options}")
    assert_unnoticed(load)


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--reload-surge", "100%"), ("--preload",)])
def test_a_reload_of_an_application_that_is_slow_to_import(
    serve: Serve, tmp_path: Path, options: tuple[str, ...]
) -> None:
    server = serve("-w", "2", *options)
    with Load(server) as load:
        load.settle()
        (tmp_path / "app.py").write_text(SLOW_IMPORT)
        reload(server, 1)
    load.report(f"a reload with 2 s of import {options}")
    assert_unnoticed(load)


@pytest.mark.alone
def test_reloads_that_are_called_off(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "2", files={"gunicorn.conf.py": "timeout = 20\n"})
    first = server.wait_serving(2)
    with Load(server) as load:
        load.settle(0.5)
        (tmp_path / "app.py").write_text("1 / 0\n")
        reload(server, 1, "Reload called off")
        (tmp_path / "app.py").write_text(APP)
        (tmp_path / "gunicorn.conf.py").write_text("timeout = 'soon'\n")
        reload(server, 2, "Reload called off")
        load.go_on(0.5)
        assert server.workers() == first
        (tmp_path / "gunicorn.conf.py").write_text("timeout = 20\n")
        reload(server, 1)
    load.report("a broken application and a broken configuration")
    assert_unnoticed(load)
    assert "ZeroDivisionError" in server.log()
    assert server.log().count("The old generation goes on serving") == 2


@pytest.mark.alone
@pytest.mark.parametrize(
    "options",
    [
        (),
        pytest.param(("--preload",), marks=pytest.mark.slow),
        pytest.param(("--threads", "3"), marks=pytest.mark.slow),
        pytest.param(("-k", "gevent"), marks=pytest.mark.slow),
    ],
)
def test_addresses_that_come_and_go(serve: Serve, tmp_path: Path, options: tuple[str, ...]) -> None:
    """A reload adds an address, another drops the first; each serves as long as it is there."""
    conf, first, second = tmp_path / "gunicorn.conf.py", free_port(), free_port()
    conf.write_text(f"bind = ['127.0.0.1:{first}']\n")
    server = serve("-w", "2", *options, bind="", address=("127.0.0.1", first))
    server.until(lambda: server.get("/?x").text == "x", "an answer")
    with Load(server) as dropped:
        dropped.settle(0.5)
        conf.write_text(f"bind = ['127.0.0.1:{first}', '127.0.0.1:{second}']\n")
        reload(server, 1)
        server.address = ("127.0.0.1", second)
        with Load(server) as added:
            added.settle(0.5)
            conf.write_text(f"bind = ['127.0.0.1:{second}']\n")
            reload(server, 2)
            added.go_on(0.3)
    dropped.report("the address that is dropped")
    added.report("the address that is added")
    assert_smooth(added)
    assert [one for one in dropped.failures if "ConnectionRefused" not in one.error] == []
    assert dropped.failures, "it is gone in the end"


def upgrade(server: Server, old: int, folder: Path) -> int:
    """USR2 to the arbiter `old`; returns the pid of the new one, whose workers serve."""
    beside = folder / "pid.2"
    os.kill(old, signal.SIGUSR2)
    server.until(beside.exists, "the new pidfile")
    new = int(beside.read_text())
    server.wait_workers(2, pid=new)
    return new


def retire(server: Server, old: int, new: int, folder: Path, signals: Sequence[int]) -> None:
    """End the arbiter `old` by signals, and wait until `new` has its pidfile."""
    for signum in signals:
        os.kill(old, signum)
        if signum == signal.SIGWINCH:
            server.until(lambda: server.workers(old) == [new], "the end of the old workers")
    if old == server.pid:
        assert server.wait() == 0
    server.until(lambda: not alive(old), "the end of the old arbiter")
    pidfile = folder / "pid"
    server.until(lambda: pidfile.exists() and pidfile.read_text() == f"{new}\n", "the pidfile")


@pytest.mark.alone
@pytest.mark.slow
def test_upgrades_of_the_binary(serve: Serve, tmp_path: Path) -> None:
    """Three that succeed, and one in between that fails."""
    server = serve("-w", "2", "--pid", "pid", files={"gunicorn.conf.py": ""})
    arbiters = [server.pid]
    retirements = [(signal.SIGTERM,), (signal.SIGWINCH, signal.SIGQUIT), (signal.SIGTERM,)]
    with Load(server) as load:
        load.settle(0.5)
        for number, signals in enumerate(retirements):
            if number == 1:
                (tmp_path / "gunicorn.conf.py").write_text("raise RuntimeError('not this one')\n")
                os.kill(arbiters[-1], signal.SIGUSR2)
                server.wait_for("The new master .* ended with code 1; this one goes on")
                assert (tmp_path / "pid").read_text() == f"{arbiters[-1]}\n"
                assert not (tmp_path / "pid.2").exists()
                (tmp_path / "gunicorn.conf.py").write_text("")
            new = upgrade(server, arbiters[-1], tmp_path)
            load.go_on(0.3)
            retire(server, arbiters[-1], new, tmp_path, signals)
            arbiters.append(new)
            load.go_on(0.3)
    load.report(f"{len(arbiters) - 1} upgrades (TERM; WINCH and QUIT; TERM), 1 that failed")
    assert_smooth(load)
    assert len(load.workers) >= 2 * len(arbiters)
    os.kill(arbiters[-1], signal.SIGTERM)
    server.assert_nothing_left(timeout=20)


def kill_workers(server: Server, load: Load, seconds: float) -> int:
    kills, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        workers = server.workers()
        if workers:
            os.kill(random.choice(workers), signal.SIGKILL)
            kills += 1
        load.go_on(0.2)
    return kills


@pytest.mark.parametrize("seconds", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_workers_that_are_killed(serve: Serve, seconds: int) -> None:
    server = serve("-w", "4")
    server.wait_workers(4)
    with Load(server) as load:
        load.settle(0.5)
        kills = kill_workers(server, load, seconds)
        server.wait_workers(4)
        load.go_on(0.5)
    load.report(f"{kills} workers killed in {seconds} s")
    # Each worker had at most the clients of this load at hand, and most of the time none.
    assert len(load.failed_fresh) <= kills
    assert load.answered > 100
    assert server.process.poll() is None


def wait_for_calm(server: Server) -> None:
    """Wait until no worker has come or gone for a second."""
    before: list[int] = []
    while before != (now := server.workers()):
        before = now
        time.sleep(1)


@pytest.mark.alone
def test_storms_of_ttin_and_ttou(serve: Serve) -> None:
    server = serve("-w", "2")
    with Load(server) as load:
        load.settle(0.5)
        for _ in range(6):
            for signum in (signal.SIGTTIN, signal.SIGTTOU):
                for _ in range(4):
                    server.send_signal(signum)
                    time.sleep(0.01)
        server.send_signal(signal.SIGTTIN)
        # Signals of a kind that is pending already are one, so nobody knows how many workers.
        wait_for_calm(server)
        load.go_on(0.5)
    load.report("TTIN and TTOU")
    assert_smooth(load)
    assert server.process.poll() is None


@pytest.mark.alone
def test_max_requests_with_eight_clients(serve: Serve) -> None:
    server = serve("-w", "2", "--max-requests", "50")
    with Load(server) as load:
        load.settle(0.5)
        load.go_on(4)
    load.report("max_requests 50")
    assert_smooth(load)
    assert len(load.workers) > 4


@pytest.mark.slow
def test_workers_that_grow(serve: Serve) -> None:
    leak = APP.replace("    body", "    hoard.append(bytearray(os.urandom(1) * 65536))\n    body")
    server = serve("-w", "2", "--worker-max-memory", "80M", files={"app.py": "hoard = []\n" + leak})
    with Load(server) as load:
        load.settle(0.3)
        server.wait_for(r"Replacing worker \(pid:\d+\): it has \d+\.\d MB of memory", 30, count=2)
        load.go_on(1)
    load.report("worker_max_memory")
    killed = len(re.findall("Killing worker", server.log()))
    assert len(load.failures) <= 8 * killed
    assert len(load.workers) > 2


@pytest.mark.parametrize("options", [(), ("--threads", "3"), ("-k", "gevent")])
def test_term_in_the_middle(serve: Serve, options: tuple[str, ...]) -> None:
    server = serve("-w", "2", *options)
    server.wait_serving(2)
    with Load(server) as load:
        load.settle(0.5)
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
    load.report("TERM")
    # Once nobody listens any more, clients are refused, which is the end and no failure.
    assert [one for one in load.failures if "ConnectionRefused" not in one.error] == []


@pytest.mark.slow
def test_the_arbiter_is_killed(serve: Serve) -> None:
    slow = APP.replace("    body", "    if 'slow' in environ['PATH_INFO']: time.sleep(4)\n    body")
    server = serve("-w", "2", files={"app.py": "import time\n" + slow})
    workers = server.wait_workers(2)
    with server.connect() as busy:
        busy.sendall(b"GET /slow?x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        with Load(server, fresh=2, kept=2) as load:
            load.settle(0.3)
            server.process.kill()
            server.wait()
            # At once: one worker is in the middle of a request, and does not listen any more.
            again = serve("-w", "1", bind=server.bind)
            until(lambda: sum(map(alive, workers)) <= 1, "the end of the idle worker", 2)
            server.address = again.address
            load.go_on(0.5)
        load.report("the arbiter killed")
        assert busy.recv(65536).endswith(b"x"), "what was begun is finished"
    until(lambda: not any(map(alive, workers)), "the end of the busy worker", 5)
    odd = [one for one in load.failures if "ConnectionRefused" not in one.error]
    assert odd == []


@pytest.mark.alone
def test_a_log_on_a_full_disk(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "2", "--access-logfile", "/dev/full", "--error-logfile", "/dev/full")
    with Load(server) as load:
        load.settle(0.5)
        server.send_signal(signal.SIGUSR1)
        first = set(load.workers)
        server.send_signal(signal.SIGHUP)
        server.until(lambda: len(load.workers - first) >= 2, "new workers that answer")
    load.report("logs on /dev/full")
    assert_smooth(load)
    assert server.process.poll() is None
