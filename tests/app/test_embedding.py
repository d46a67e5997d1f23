"""A program that goes on after `run()`: it finds the signal handlers that it had before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import free_port, until

PROGRAM = '''\
import json, os, signal, subprocess, sys, threading
from gunicorn.app.base import BaseApplication

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

class Embedded(BaseApplication):
    def load_config(self):
        for name, value in OPTIONS.items():
            self.cfg.set(name, value)
    def load(self):
        return LOADED

def fails(*_):
    raise RuntimeError("a hook fails")

def leaves(*_):
    sys.exit(9)

def own(signum, frame):
    pass

def dispositions():
    """What a child is born with: the ignored signals (proc(5))."""
    done = subprocess.run(["grep", "SigIgn", "/proc/self/status"], capture_output=True, text=True)
    return done.stdout

signal.signal(signal.SIGTERM, own)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, own)
reading, writing = os.pipe()
os.set_blocking(writing, False)
signal.set_wakeup_fd(writing)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])
LOADED = app
own_pid = os.getpid()
OPTIONS = {"bind": BIND, "errorlog": "error.log"}
EXTRA
names = [each for each in signal.valid_signals() if signal.getsignal(each) is not None]
before = {each: signal.getsignal(each) for each in names}
ignored, files = dispositions(), set(os.listdir("/proc/self/fd"))
try:
    Embedded().run()
except SystemExit as ending:
    if os.getpid() != own_pid:
        raise  # the end of a worker, which is a copy of this program
    code = ending.code
assert {each: signal.getsignal(each) for each in names} == before
assert signal.set_wakeup_fd(-1) == writing
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGWINCH}
assert dispositions() == ignored
left = [f"/proc/self/fd/{fd}" for fd in set(os.listdir("/proc/self/fd")) - files]
assert not [each for each in left if os.path.realpath(each).partition(":")[0].endswith("pipe")]
print("goes on after", code, flush=True)
'''

ENDINGS = {
    "an address that is taken": (
        "import socket; taken = socket.socket(); taken.bind(('127.0.0.1', 0)); taken.listen()\n"
        "OPTIONS['bind'] = '127.0.0.1:%d' % taken.getsockname()[1]",
        1,
    ),
    "an application that is none": ("LOADED = None", 4),
    "one that is preloaded": ("LOADED = None; OPTIONS['preload_app'] = True", 4),
    "the first hook": ("OPTIONS['on_starting'] = fails", 1),
    "the second hook": ("OPTIONS['when_ready'] = fails", 1),
    "a hook that exits": ("OPTIONS['when_ready'] = leaves", 9),
    "the last hook": ("OPTIONS['on_exit'] = leaves; OPTIONS['on_starting'] = fails", 9),
    "workers": ("OPTIONS['post_fork'] = fails", 3),
    "a pidfile": ("OPTIONS['pidfile'] = 'no/such/folder/pid'", 1),
}


def program(folder: Path, extra: str) -> list[str]:
    text = PROGRAM.replace("EXTRA", extra).replace("BIND", repr(f"127.0.0.1:{free_port()}"))
    (folder / "embedding.py").write_text(text)
    return [sys.executable, "embedding.py"]


@pytest.mark.parametrize(("extra", "code"), ENDINGS.values(), ids=ENDINGS)
def test_a_start_that_fails_gives_the_program_its_signals_back(
    tmp_path: Path, extra: str, code: int
) -> None:
    done = subprocess.run(
        program(tmp_path, extra),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    log = (tmp_path / "error.log").read_text()
    assert done.stdout == f"goes on after {code}\n", f"{done.stderr}\n{log}"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("extra", ["", "OPTIONS['preload_app'] = True"])
def test_the_end_of_serving_gives_the_program_its_signals_back(
    tmp_path: Path, signum: int, extra: str
) -> None:
    command = program(tmp_path, extra)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        log = tmp_path / "error.log"
        until(lambda: log.exists() and "Booting worker" in log.read_text(), "a worker")
        os.kill(process.pid, signum)
        assert process.stdout is not None
        assert process.stdout.read() == "goes on after 0\n", log.read_text()
