"""USR2: a new arbiter beside the old one, and both ways on from there."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.arbiter.conftest import TINY, Serve
from tests.servers import HELLO, Server, alive, until

PID = "def app(environ, start_response):\n    import os\n    return [str(os.getppid()).encode()]\n"


def pid_in(path: Path) -> int:
    return int(path.read_text())


def upgrade(server: Server, pidfile: Path) -> int:
    """Send USR2 and wait until the new arbiter has its workers; returns its pid."""
    beside = pidfile.with_name(pidfile.name + ".2")
    server.send_signal(signal.SIGUSR2)
    server.until(beside.exists, "the pidfile of the new arbiter")
    new = pid_in(beside)
    server.wait_workers(2, pid=new)
    return new


def end(server: Server, pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    server.until(lambda: not alive(pid), f"the end of {pid}")


@pytest.mark.parametrize("bind", [None, "unix:serve.sock"])
def test_up_to_the_new_binary(serve: Serve, tmp_path: Path, bind: str | None) -> None:
    pidfile = tmp_path / "pid"
    address = str(tmp_path / "serve.sock") if bind else None
    server = serve("--pid", "pid", bind=bind, address=address, files={"app.py": PID})
    server.get("/")
    new = upgrade(server, pidfile)
    assert pid_in(pidfile) == server.pid
    server.wait_for(rf"\[{new}\] \[INFO\] Listening at: .*\({new}\)$")
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    server.until(lambda: pidfile.exists() and pid_in(pidfile) == new, "the promotion")
    server.wait_for(rf"\[{new}\] \[INFO\] Master has been promoted")
    assert not (tmp_path / "pid.2").exists()
    assert int(server.get("/").text) == new
    # The new one is as complete as the old one was: it can be succeeded, too.
    os.kill(new, signal.SIGUSR2)
    server.until((tmp_path / "pid.2").exists, "the third arbiter")
    third = pid_in(tmp_path / "pid.2")
    server.wait_workers(2, pid=third)
    end(server, new)
    server.until(lambda: pidfile.exists() and pid_in(pidfile) == third, "the second promotion")
    assert int(server.get("/").text) == third
    end(server, third)
    assert not pidfile.exists()
    if address:
        assert not Path(address).exists()


def test_back_to_the_old_binary(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "serve.sock"
    server = serve("--pid", "pid", bind=f"unix:{path}", files={"app.py": PID})
    server.get("/")
    new = upgrade(server, tmp_path / "pid")
    server.send_signal(signal.SIGWINCH)
    server.until(lambda: server.workers() == [new], "no workers but the new arbiter")
    assert int(server.get("/").text) == new
    end(server, new)
    server.wait_for(rf"\[{new}\] \[INFO\] Shutting down: Master\.2$")
    server.wait_for(rf"The new master \(pid: {new}\) ended")
    server.wait_workers(2)
    assert int(server.get("/").text) == server.pid
    assert path.exists()
    assert not (tmp_path / "pid.2").exists()
    assert server.stop() == 0
    assert not path.exists()
    server.wait_for(rf"\[{server.pid}\] \[INFO\] Shutting down: Master$")


def test_a_hup_brings_workers_back_after_winch(serve: Serve, tmp_path: Path) -> None:
    server = serve("--pid", "pid", files={"app.py": PID})
    server.get("/")
    new = upgrade(server, tmp_path / "pid")
    server.send_signal(signal.SIGWINCH)
    server.until(lambda: server.workers() == [new])
    server.send_signal(signal.SIGHUP)
    server.wait_workers(3)
    end(server, new)


def test_a_new_binary_that_fails_leaves_the_old_one_serving(serve: Serve, tmp_path: Path) -> None:
    conf = tmp_path / "gunicorn.conf.py"
    server = serve("--pid", "pid", files={"gunicorn.conf.py": "timeout = 20\n"})
    server.wait_serving(2)
    conf.write_text("timeout = 'soon'\n")
    server.send_signal(signal.SIGUSR2)
    server.wait_for(r"\[ERROR\] The new master \(pid: \d+\) ended with code 1; this one goes on")
    assert server.get("/").text == "hello"
    assert pid_in(tmp_path / "pid") == server.pid
    # A broken application is found out a little later, by the workers of the new one.
    conf.write_text("")
    (tmp_path / "app.py").write_text("1 / 0\n")
    server.send_signal(signal.SIGUSR2)
    server.wait_for(r"The new master \(pid: \d+\) ended with code 3; this one goes on")
    assert server.get("/").text == "hello"
    assert not (tmp_path / "pid.2").exists()


def test_usr2_twice_and_from_the_child_is_refused(serve: Serve, tmp_path: Path) -> None:
    server = serve("--pid", "pid")
    server.get("/")
    new = upgrade(server, tmp_path / "pid")
    server.send_signal(signal.SIGUSR2)
    server.wait_for("USR2 signal ignored. Child exists.")
    os.kill(new, signal.SIGUSR2)
    server.wait_for("USR2 signal ignored. Parent exists.")
    end(server, new)


def test_the_new_binary_takes_over_from_a_killed_one(serve: Serve, tmp_path: Path) -> None:
    server = serve("--pid", "pid", files={"app.py": PID})
    server.get("/")
    new = upgrade(server, tmp_path / "pid")
    server.process.kill()
    server.until(lambda: pid_in(tmp_path / "pid") == new, "the promotion")
    server.wait()
    server.until(lambda: int(server.get("/").text) == new, "only the new one's workers")
    end(server, new)
    assert not (tmp_path / "pid").exists()


def test_pre_exec_is_called_and_may_fail(serve: Serve, tmp_path: Path) -> None:
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text("def pre_exec(server):\n    raise ValueError('not today')\n")
    server = serve("--pid", "pid")
    server.get("/")
    server.send_signal(signal.SIGUSR2)
    server.wait_for("ValueError: not today")
    server.wait_for("ended with code 1; this one goes on")
    assert server.get("/").text == "hello"


def test_the_command_is_repeated_where_it_was_given(tmp_path: Path) -> None:
    """Through a link to the current release, with --chdir: the new one reads the new release."""
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "tiny.py").write_text(TINY)
        (folder / "app.py").write_text(HELLO.replace("hello", f"rel{name[:2]}"))
    current = tmp_path / "current"
    current.symlink_to("one")
    script = Path(sys.executable).parent / "gunicorn"
    with Server(
        "app:app", "-k", "tiny.Tiny", "-w", "2", "--pid", str(tmp_path / "pid"),
        cwd=current, env={"PWD": str(current)}, command=[str(script)],
    ) as server:  # fmt: skip
        assert server.get("/").text == "relon"
        current.unlink()
        current.symlink_to("two")
        new = upgrade(server, tmp_path / "pid")
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert until(lambda: server.get("/").text) == "reltw"
        end(server, new)
