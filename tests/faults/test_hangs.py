"""Workers that hang, or never boot: they are replaced, and tell where it was."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.faults.conftest import Serve
from tests.faults.load import APP
from tests.servers import Server

HANGS = """\
import ctypes, os, threading, time

def asleep():
    time.sleep(60)

def stuck_in_c(library):
    mutex = ctypes.create_string_buffer(128)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)

def drips():
    while True:
        time.sleep(0.1)
        yield b"drop"

def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/sleep":
        threading.Thread(target=asleep, name="beside", daemon=True).start()
        time.sleep(60)
    if environ["PATH_INFO"] == "/c":
        stuck_in_c(ctypes.CDLL(None))
    if environ["PATH_INFO"] == "/c-that-keeps-the-lock":
        stuck_in_c(ctypes.PyDLL(None))
    if environ["PATH_INFO"] == "/drips":
        return drips()
    return [b"hello"]
"""

SLEEPS = """\
import time

def app(environ, start_response):
    open("began", "w").close()
    time.sleep(60)
"""


def ask(server: Server, path: str) -> bytes:
    return server.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())


def test_the_log_says_where_a_worker_hangs(serve: Serve) -> None:
    hook = "def worker_abort(worker):\n    print('aborting', worker.pid, flush=True)\n"
    server = serve("-w", "1", "--timeout", "1", files={"app.py": HANGS, "gunicorn.conf.py": hook})
    (pid,) = server.wait_workers(1)
    ask(server, "/sleep?why=1")
    seconds = server.wait_for(
        rf"WORKER TIMEOUT \(pid:{pid}\): no sign of life for (\S+) s \(timeout is 1 s\)"
    )
    assert 1 <= float(seconds[1]) < 5
    server.wait_for(
        rf"Worker \(pid:{pid}\) hangs: GET /sleep\?why=1 from 127\.0\.0\.1:\d+ \(for \d\.\d s\)"
    )
    server.wait_for(r"Thread MainThread:\n(.*\n)* .*app\.py\", line \d+, in app\n")
    server.wait_for(r"Thread beside:\n(.*\n)+ .*app\.py\", line \d+, in asleep\n")
    server.wait_for(f"aborting {pid}")
    assert ask(server, "/").endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize(
    "options", [("-w", "1"), ("-w", "2"), pytest.param(("-k", "gevent"), marks=pytest.mark.slow)]
)
def test_also_when_its_main_thread_is_stuck_in_c(serve: Serve, options: tuple[str, ...]) -> None:
    server = serve("--timeout", "1", *options, files={"app.py": HANGS})
    ask(server, "/c?why=2")
    found = server.wait_for(
        r"Worker \(pid:(\d+)\) hangs: GET /c\?why=2 from 127\.0\.0\.1:\d+.*\nThread MainThread:\n"
    )
    server.wait_for(r'File ".*app\.py", line \d+, in stuck_in_c\n')
    pid = int(found[1])
    server.until(lambda: pid not in server.workers(), "the end of the worker")
    server.says_in_all(" hangs: ", 1)
    assert b"hello" in ask(server, "/")


@pytest.mark.parametrize("log_file", [pytest.param("-", marks=pytest.mark.slow), "error.log"])
def test_also_when_it_cannot_run_python_any_more(
    serve: Serve, tmp_path: Path, log_file: str
) -> None:
    server = serve(
        "-w", "1", "--timeout", "1", "--error-logfile", log_file, files={"app.py": HANGS}
    )
    (pid,) = server.wait_workers(1)
    began = time.monotonic()
    ask(server, "/c-that-keeps-the-lock")
    assert time.monotonic() - began < 10
    server.until(lambda: pid not in server.workers(), "the end of the worker")
    log = server.log() if log_file == "-" else (tmp_path / log_file).read_text()
    assert re.search(r'File ".*app\.py", line \d+ in stuck_in_c\n.* in app\n', log)


def test_a_request_that_makes_progress_for_too_long(serve: Serve) -> None:
    server = serve("-w", "1", "--request-timeout", "1.5", files={"app.py": HANGS})
    (pid,) = server.wait_workers(1)
    answer = ask(server, "/drips")
    assert answer.count(b"drop") > 5
    assert not answer.endswith(b"0\r\n\r\n"), "cut off, and seen to be"
    server.wait_for(rf"WORKER TIMEOUT \(pid:{pid}\): a request for \S+ s \(request_timeout is 1.5")
    server.wait_for(rf"Worker \(pid:{pid}\) hangs: GET /drips from 127\.0\.0\.1:\d+")
    assert b"hello" in ask(server, "/")


@pytest.mark.parametrize("worker_class", ["gevent", "tornado"])
def test_request_timeout_is_refused_where_requests_are_not_known(
    serve: Serve, worker_class: str
) -> None:
    server = serve("--request-timeout", "5", "-k", worker_class, wait=False)
    assert server.wait() == 1
    server.wait_for(
        rf"request_timeout = \S+ \(flag --request-timeout\): workers of the class {worker_class}"
    )


def test_a_worker_that_does_not_boot_in_time(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "2", "--boot-timeout", "1")
    old = server.wait_serving(2)
    (tmp_path / "app.py").write_text("import time\ntime.sleep(30)\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for(r"WORKER TIMEOUT \(pid:\d+\): not booted after \S+ s \(the limit is 1 s\)")
    server.wait_for("Reload called off: worker .* The old generation goes on serving")
    server.until(lambda: server.workers() == old, "the old workers alone")
    assert server.get("/?x").text == "x"


@pytest.mark.slow
def test_a_template_that_does_not_load_in_time(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "1", "--preload", "--boot-timeout", "1")
    old = server.wait_workers(2)
    (tmp_path / "app.py").write_text("import time\ntime.sleep(30)\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for(r"was not loaded after \S+ s \(boot_timeout is 1 s\)")
    server.wait_for("Reload called off: the application cannot be preloaded")
    assert 'app.py", line 2 in <module>' in server.log()
    server.until(lambda: server.workers() == old, "the old processes alone")
    assert server.get("/?x").text == "x"


@pytest.mark.slow
def test_a_worker_that_fails_right_after_its_boot_is_not_restarted_at_full_speed(
    serve: Serve,
) -> None:
    source = (
        "from gunicorn.workers.sync import SyncWorker\n"
        "class Worker(SyncWorker):\n    def run(self):\n"
        "        self.notify()\n        time.sleep(0.1)\n        raise RuntimeError('no')\n"
    )
    server = serve("-w", "1", "-k", "odd.Worker", files={"odd.py": "import time\n" + source})
    server.wait_for(r"failed \S+ s after it had booted; next attempt in 0\.8 s")
    server.wait_for("RuntimeError: no")
    boots = server.log().count("Booting worker")
    assert boots <= 5
    assert server.process.poll() is None


@pytest.mark.slow
def test_a_boot_loop_leaves_the_others_alone(serve: Serve, tmp_path: Path) -> None:
    server = serve("-w", "2")
    workers = server.wait_serving(2)
    (tmp_path / "app.py").write_text("1 / 0\n")
    os.kill(workers[0], signal.SIGKILL)
    server.wait_for(r"failed to boot \(code 3\); next attempt in 0\.4 s")
    server.wait_for("ZeroDivisionError")
    for _ in range(20):
        assert server.get("/?x").text == "x"
    (tmp_path / "app.py").write_text(APP)
    server.wait_workers(2)


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_what_is_cut_off_at_the_end_of_the_graceful_time_is_named(
    serve: Serve, tmp_path: Path, signum: int
) -> None:
    server = serve("-w", "1", "--graceful-timeout", "1", files={"app.py": SLEEPS})
    with server.connect() as client:
        client.sendall(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
        server.until((tmp_path / "began").exists, "a request in progress")
        server.send_signal(signum)
        server.wait_for(r"hangs: GET /long from 127\.0\.0\.1:\d+ \(for \d")
        server.wait_for(r"app.py\", line \d+, in app\n\s+time.sleep")
        server.wait_for(r"Killing worker")
    if signum == signal.SIGTERM:
        assert server.wait() == 0


def test_an_application_that_ends_its_process_is_in_the_log(serve: Serve) -> None:
    server = serve(files={"app.py": "import sys\nsys.exit('no database')\n"}, wait=False)
    assert server.wait() == 3
    server.wait_for(r"The application ends the process while it is loaded")
    server.wait_for(r"app.py\", line 2.*\n.*\n(.*\n)?SystemExit: no database")


def test_a_worker_that_ends_by_itself_is_in_the_log(serve: Serve) -> None:
    source = "import os\ndef app(environ, start_response):\n    os._exit(0)\n"
    server = serve("-w", "1", files={"app.py": source})
    (worker,) = server.wait_workers(1)
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server.wait_for(rf"Worker \(pid:{worker}\) exited with code 0; the arbiter had not asked")


def test_a_limit_of_memory_that_no_worker_can_keep_is_told(serve: Serve) -> None:
    server = serve("-w", "2", "--worker-max-memory", "5MB")
    server.wait_for(r"Worker \(pid:\d+\) has \S+ MB of memory and has served nothing yet")
    server.wait_workers(2)


def test_a_worker_that_grows_fast_is_killed(serve: Serve) -> None:
    source = (
        "import time\nhoard = []\n"
        "def app(environ, start_response):\n"
        "    if environ['PATH_INFO'] == '/grow':\n"
        "        hoard.append(b'x' * (200 << 20))\n"
        "        time.sleep(30)\n"
        "    start_response('200 OK', [])\n    return [b'hello']\n"
    )
    server = serve("-w", "1", "--worker-max-memory", "100MB", files={"app.py": source})
    (pid,) = server.wait_workers(1)
    ask(server, "/grow")
    server.wait_for(
        rf"Killing worker \(pid:{pid}\): it has 2\d\d\.\d MB of memory, more than 1\.5 times"
        r" worker_max_memory \(100\.0 MB\)"
    )
    server.until(lambda: pid not in server.workers() and len(server.workers()) == 1)
    assert server.get("/").text == "hello"
