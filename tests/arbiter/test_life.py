"""Starting, watching and stopping, with the real command."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from gunicorn import __version__
from tests.arbiter.conftest import Serve
from tests.servers import alive, until


def test_serves_and_says_what_people_grep_for(serve: Serve) -> None:
    server = serve()
    pids = server.wait_serving(2)
    assert server.get("/").text == "hello"
    for pid in pids:
        server.wait_for(rf"\[{pid}\] \[INFO\] Booting worker with pid: {pid}$")
    log = server.log()
    assert f"[INFO] Starting gunicorn {__version__}" in log
    assert f"Listening at: http://127.0.0.1:{server.port} ({server.pid})" in log
    assert "Using worker: tiny.Tiny" in log
    assert server.stop() == 0
    assert server.log().splitlines()[-1].endswith("[INFO] Shutting down: Master")
    for pid in pids:
        assert f"Worker exiting (pid: {pid})" in server.log()


@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT"])
def test_every_stop_signal_ends_with_zero(serve: Serve, name: str) -> None:
    server = serve()
    server.wait_serving(2)
    assert server.stop(getattr(signal, f"SIG{name}")) == 0
    assert f"Handling signal: {name.lower()}" in server.log()
    with pytest.raises(OSError):
        server.connect()


SLOW = """\
import time
def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        open("began", "w").close()
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            time.sleep(0.05)
    if environ["PATH_INFO"] == "/stuck":
        open("began", "w").close()
        while True:
            try:
                time.sleep(1)
            except BaseException:
                pass
    start_response("200 OK", [])
    return [b"done"]
"""


def test_term_lets_a_request_finish(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "1", files={"app.py": SLOW})
    with server.connect() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\n\r\n")
        server.until((tmp_path / "began").exists, "a request in progress")
        server.send_signal(signal.SIGTERM)
        assert client.recv(100).endswith(b"done")
    assert server.wait() == 0


def test_who_signals_until_the_very_end_does_not_change_the_exit_code(serve: Serve) -> None:
    server = serve("-w", "1")
    server.get("/")
    while server.process.poll() is None:
        server.send_signal(signal.SIGTERM)
    assert server.wait() == 0


def test_a_second_term_changes_nothing(serve: Serve, tmp_path: Path) -> None:
    """Supervisors and orchestrators send it again."""
    server = serve("-w", "1", "--graceful-timeout", "60", files={"app.py": SLOW})
    with server.connect() as client:
        client.sendall(b"GET /stuck HTTP/1.1\r\n\r\n")
        server.until((tmp_path / "began").exists, "a request in progress")
        for count in (1, 2):
            server.send_signal(signal.SIGTERM)
            server.wait_for("Handling signal: term", count=count)
            time.sleep(0.7)  # what comes sooner counts as an echo of the first
        server.wait_for("Stopping already; INT or QUIT cuts short")
        assert server.workers()
        for _ in range(2):
            server.send_signal(signal.SIGQUIT)
            time.sleep(0.7)
        assert server.wait() == 0
    assert "Killing workers that did not stop" in server.log()


def test_what_outlasts_graceful_timeout_is_killed(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "1", "--graceful-timeout", "1", files={"app.py": SLOW})
    with server.connect() as client:
        client.sendall(b"GET /stuck HTTP/1.1\r\n\r\n")
        server.until((tmp_path / "began").exists, "a request in progress")
        assert server.stop() == 0
    assert "Killing workers that did not stop" in server.log()
    server.never_says("out of memory")


def test_a_crashed_worker_is_replaced(serve: Serve) -> None:
    server = serve()
    first, second = server.wait_serving(2)
    os.kill(first, signal.SIGKILL)
    server.wait_for(rf"Worker \(pid:{first}\) was sent SIGKILL! Perhaps out of memory\?")
    server.until(lambda: first not in server.workers() and len(server.workers()) == 2)
    assert second in server.workers()
    assert server.get("/").status == 200


def test_a_worker_that_fails_while_serving_is_replaced(serve: Serve) -> None:
    source = "import os\ndef app(environ, start_response):\n    os._exit(7)\n"
    server = serve("-w", "1", files={"app.py": source})
    (pid,) = server.wait_workers(1)
    assert server.raw(b"GET / HTTP/1.1\r\n\r\n") == b""
    server.wait_for(rf"\[ERROR\] Worker \(pid:{pid}\) exited with code 7\.")
    server.until(lambda: len(server.workers()) == 1 and server.workers() != [pid])


def test_a_silent_worker_is_aborted_and_replaced(serve: Serve, tmp_path: Path) -> None:
    hooks = "def worker_abort(worker):\n    print('aborted', worker.pid, flush=True)\n"
    server = serve("-w", "1", "-t", "1", files={"app.py": SLOW, "gunicorn.conf.py": hooks})
    (pid,) = server.wait_workers(1)
    with server.connect() as client:
        client.sendall(b"GET /stuck HTTP/1.1\r\n\r\n")
        server.wait_for(rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{pid}\)")
        server.wait_for(rf"^aborted {pid}$")
        server.until(lambda: not alive(pid), "the end of the silent worker")
    server.until(lambda: len(server.workers()) == 1)
    assert server.get("/").text == "done"


def test_no_timeout_when_zero(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "1", "-t", "0", files={"app.py": SLOW})
    assert server.get("/slow").text == "done"
    server.never_says("TIMEOUT")


def test_ttin_and_ttou(serve: Serve) -> None:
    server = serve("-w", "1")
    first = server.wait_workers(1)[0]
    for count in (2, 3, 4):
        server.send_signal(signal.SIGTTIN)
        server.wait_serving(count)
    server.send_signal(signal.SIGTTOU)
    pids = server.wait_workers(3)
    assert first not in pids, "the oldest goes first"
    for count in (2, 1):
        server.send_signal(signal.SIGTTOU)
        server.wait_workers(count)
    server.send_signal(signal.SIGTTOU)
    server.wait_for("Handling signal: ttou", count=4)
    assert len(server.workers()) == 1, "never the last"


def test_usr1_reopens_logs_everywhere(serve: Serve, tmp_path: Path) -> None:
    server = serve("--error-logfile", "error.log")
    server.wait_serving(2)
    log, old = tmp_path / "error.log", tmp_path / "error.log.1"
    log.rename(old)
    server.send_signal(signal.SIGUSR1)
    until(log.exists, "a new log file")
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "Shutting down: Master" in log.read_text()
    assert log.read_text().count("Worker exiting") == 2
    assert "Shutting down" not in old.read_text()


def test_winch_in_the_foreground_is_ignored(serve: Serve) -> None:
    server = serve()
    pids = server.wait_workers(2)
    server.send_signal(signal.SIGWINCH)
    server.wait_for("Handling signal: winch")
    server.get("/")
    assert server.workers() == pids


def test_hooks_in_their_order(serve: Serve) -> None:
    names = {
        "nworkers_changed": "server, new, old",
        "on_starting": "server",
        "when_ready": "server",
        "pre_fork": "server, worker",
        "post_fork": "server, worker",
        "post_worker_init": "worker",
        "worker_exit": "server, worker",
        "child_exit": "server, worker",
        "on_exit": "server",
    }
    conf = "import os\n" + "".join(
        f"def {name}({arguments}):\n    print('HOOK {name}', os.getpid(), flush=True)\n"
        for name, arguments in names.items()
    )
    server = serve("-w", "1", files={"gunicorn.conf.py": conf})
    (worker,) = server.wait_workers(1)
    server.get("/")
    assert server.stop() == 0
    called = re.findall(r"^HOOK (\w+) (\d+)$", server.log(), re.MULTILINE)
    assert [name for name, _ in called] == list(names)
    in_worker = {"post_fork", "post_worker_init", "worker_exit"}
    assert all(int(pid) == (worker if name in in_worker else server.pid) for name, pid in called)


def test_a_failing_hook_does_not_stop_the_arbiter(serve: Serve) -> None:
    conf = "def child_exit(server, worker):\n    raise ValueError('in a hook')\n"
    server = serve("-w", "1", files={"gunicorn.conf.py": conf})
    (pid,) = server.wait_workers(1)
    server.get("/")
    os.kill(pid, signal.SIGKILL)
    server.wait_for("Exception in the child_exit hook")
    server.wait_for("ValueError: in a hook")
    server.until(lambda: server.workers() not in ([pid], []))
    assert server.get("/").status == 200


def test_a_failing_pre_fork_hook_is_tried_again(serve: Serve) -> None:
    conf = (
        "times = [1, 2]\ndef pre_fork(server, worker):\n"
        "    if times:\n        raise ValueError('not yet', times.pop())\n"
    )
    server = serve("-w", "1", files={"gunicorn.conf.py": conf})
    server.wait_for("A worker could not be started; next attempt in 0.2 s")
    assert server.get("/").status == 200


def test_a_pre_fork_hook_that_always_fails_ends_the_start(serve: Serve) -> None:
    conf = "def pre_fork(server, worker):\n    raise ValueError('never')\n"
    server = serve("-w", "1", "--pid", "pid", files={"gunicorn.conf.py": conf}, wait=False)
    assert server.wait() == 3
    log = server.log()
    assert log.count("A worker could not be started") == log.count("ValueError: never") == 5
    assert "arbiter/workforce.py" not in log, "the traceback of the user's code, not of ours"
    assert not (server.cwd / "pid").exists()


@pytest.mark.parametrize("name", ["on_starting", "when_ready"])
def test_a_hook_that_fails_at_the_start_ends_it(serve: Serve, name: str) -> None:
    conf = f"def {name}(server):\n    raise ValueError('in a hook')\n"
    server = serve("--pid", "pid", files={"gunicorn.conf.py": conf}, wait=False)
    assert server.wait() == 1
    log = server.log()
    assert f"Reason: the {name} hook failed\n" in log
    assert "ValueError: in a hook" in log
    assert "arbiter/arbiter.py" not in log, "the traceback of the user's code, not of ours"
    assert not (server.cwd / "pid").exists()


def test_a_hook_that_exits_at_start_ends_the_server(serve: Serve) -> None:
    conf = "import sys\ndef when_ready(server):\n    sys.exit(9)\n"
    server = serve("--pid", "pid", files={"gunicorn.conf.py": conf}, wait=False)
    assert server.wait() == 9
    assert not (server.cwd / "pid").exists()


def test_atexit_handlers_of_the_application_run_in_the_worker(serve: Serve) -> None:
    source = (
        "import atexit, os\n"
        "atexit.register(lambda: print('goodbye', os.getpid(), flush=True))\n"
        "def app(environ, start_response):\n    return [b'hello']\n"
    )
    server = serve("-w", "1", files={"app.py": source})
    (pid,) = server.wait_workers(1)
    server.get("/")
    assert server.stop() == 0
    assert re.findall(r"^goodbye (\d+)$", server.log(), re.MULTILINE) == [str(pid)]


def test_a_worker_whose_logger_fails_does_not_become_an_arbiter(serve: Serve) -> None:
    conf = (
        "import os\nfrom gunicorn.glogging import Logger\narbiter = os.getpid()\n"
        "class Failing(Logger):\n"
        "    def info(self, text, *args, **options):\n"
        "        if os.getpid() != arbiter and 'exiting' in text:\n"
        "            raise OSError('the log is full')\n"
        "        super().info(text, *args, **options)\n"
        "logger_class = Failing\n"
    )
    server = serve("-w", "1", files={"gunicorn.conf.py": conf})
    (pid,) = server.wait_workers(1)
    server.get("/")
    os.kill(pid, signal.SIGTERM)
    server.wait_for("OSError: the log is full")
    server.wait_for(rf"Worker \(pid:{pid}\) exited with code 255")
    server.until(lambda: server.workers() not in ([pid], []))
    assert server.stop() == 0


def test_workers_have_nothing_of_the_arbiters_open(serve: Serve) -> None:
    server = serve("-w", "1")
    (pid,) = server.wait_workers(1)
    server.get("/")
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    theirs = {
        os.readlink(f"/proc/{server.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{server.pid}/fd")
    }
    shared_pipes = {link for link in links if link.startswith("pipe:") and link in theirs}
    assert len(shared_pipes) == 2, "the bell that wakes the arbiter, and its lifeline"


def test_address_in_use_exits_with_one(serve: Serve, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = serve("--pid", "pid", bind=f"127.0.0.1:{port}", wait=False)
        assert server.wait(30) == 1
    assert f"Connection in use: ('127.0.0.1', {port})" in server.log()
    assert not (tmp_path / "pid").exists()
    server.never_says("Booting worker")


def test_a_unix_socket_goes_with_the_server(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "serve.sock"
    server = serve(bind=f"unix:{path}")
    assert server.get("/").text == "hello"
    assert server.stop() == 0
    assert not path.exists()


def test_workers_of_a_killed_arbiter_go_too(serve: Serve) -> None:
    server = serve()
    server.wait_serving(2)
    server.process.kill()
    assert server.wait() == -signal.SIGKILL
    server.assert_nothing_left(timeout=20)


def test_preload_loads_once_in_a_template(serve: Serve) -> None:
    source = (
        "import os\nprint('loaded in', os.getpid(), flush=True)\n"
        "def app(environ, start_response):\n    return [b'hello']\n"
    )
    server = serve("--preload", files={"app.py": source})
    children = server.wait_workers(3)
    assert server.get("/").text == "hello"
    server.wait_for(r"Booting worker with pid: \d+", count=2)
    template = int(server.wait_for(r"loaded in (\d+)")[1])
    booted = [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", server.log())]
    assert sorted([template, *booted]) == children, "workers are the arbiter's children"
    server.says_in_all("loaded in", 1)


def test_max_requests_like_exit_is_replaced_quietly(serve: Serve) -> None:
    source = (
        "def app(environ, start_response):\n"
        "    environ['gunicorn.worker'].alive = False\n    return [b'last']\n"
    )
    server = serve("-w", "1", files={"app.py": source})
    for _ in range(5):
        assert server.get("/").text == "last"
    server.never_says("ERROR")
    server.wait_for("Booting worker", count=6)


FAULTY = """\
def when_ready(server):
    calls = []
    real = server.workforce.note_booted
    def faulty():
        calls.append(None)
        if len(calls) <= TIMES:
            raise RuntimeError("a fault of the arbiter")
        real()
    server.workforce.note_booted = faulty
"""


def test_a_fault_in_the_loop_is_logged_and_survived(serve: Serve) -> None:
    server = serve(files={"gunicorn.conf.py": FAULTY.replace("TIMES", "2")})
    server.wait_for(r"\[ERROR\] Error in the arbiter, which goes on", count=2)
    server.wait_for("RuntimeError: a fault of the arbiter", count=2)
    assert server.get("/").status == 200
    server.send_signal(signal.SIGTTIN)
    server.wait_workers(3)
    assert server.stop() == 0


def test_an_arbiter_that_cannot_go_on_leaves_no_orphans(serve: Serve, tmp_path: Path) -> None:
    conf = FAULTY.replace("TIMES", "1000")
    server = serve("--pid", "pid", files={"gunicorn.conf.py": conf})
    assert server.wait() == 255
    server.wait_for("Unhandled exception in the arbiter")
    server.assert_nothing_left()
    assert not (tmp_path / "pid").exists()
