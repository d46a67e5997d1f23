"""Workers run code of the application, perhaps as another user: nothing they write is obeyed.

Each application here attacks the arbiter with what a worker holds. The server is to go on: it
reloads, it answers, and it ends when it is told to.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.arbiter.conftest import Serve
from tests.servers import Server

BELL = """\
import os, threading

def ring(bell):
    os.set_blocking(bell, BLOCKING)
    while True:
        try:
            os.write(bell, b"x" * 4096)
        except BlockingIOError:
            pass

def app(environ, start_response):
    worker = environ["gunicorn.worker"]
    threading.Thread(target=ring, args=(worker.bell,), daemon=True).start()
    return [b"hello"]
"""


def goes_on(server: Server) -> None:
    """The server reloads and answers; its end is looked at by the fixture."""
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    assert server.get("/").status == 200


@pytest.mark.parametrize("blocking", [True, False])
def test_a_worker_that_rings_without_end(serve: Serve, blocking: bool) -> None:
    server = serve(files={"app.py": BELL.replace("BLOCKING", str(blocking))})
    for _ in range(4):
        assert server.get("/").text == "hello"
    goes_on(server)


@pytest.mark.alone
def test_a_worker_that_rings_without_end_does_not_keep_the_arbiter_busy(serve: Serve) -> None:
    server = serve(files={"app.py": BELL.replace("BLOCKING", "True")})
    assert server.get("/").text == "hello"
    before, began = cpu_time(server.pid), time.monotonic()
    time.sleep(2)
    share = (cpu_time(server.pid) - before) / (time.monotonic() - began)
    assert share < 0.3, f"the arbiter took {share:.0%} of a CPU"


def cpu_time(pid: int) -> float:
    """Seconds of CPU time that a process has taken (proc(5))."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


CELLS = """\
import threading, time
from gunicorn import scoreboard

def spoil():
    block, end = scoreboard.own.block, time.monotonic() + 1
    while time.monotonic() < end:
        for index in range(len(block)):
            block[index] = float("VALUE")

def app(environ, start_response):
    if environ["PATH_INFO"] == "/attack":
        threading.Thread(target=spoil, daemon=True).start()
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""
LIMITS = ("--worker-max-memory", "4GB", "--refork-after", "100000")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "1e308", "5e-324", "1", "1e15"])
@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_a_worker_that_spoils_the_scoreboard(
    serve: Serve, value: str, preload: tuple[str, ...]
) -> None:
    """All of it: the cells of the others, and those that are the arbiter's to write."""
    app = CELLS.replace("VALUE", value)
    server = serve("-k", "sync", *LIMITS, *preload, files={"app.py": app})
    assert server.get("/attack").status == 200
    goes_on(server)
    assert server.stop() == 0
    assert "Error in the arbiter" not in server.log()
    assert "Traceback" not in server.log()


CHANNELS = """\
import array, os, socket

def channels():
    for name in os.listdir("/proc/self/fd"):
        try:
            fd = os.dup(int(name))
        except OSError:
            continue
        try:
            sock = socket.socket(fileno=fd)
        except OSError:
            os.close(fd)
            continue
        with sock:
            if (sock.family, sock.type) == (socket.AF_UNIX, socket.SOCK_SEQPACKET):
                yield sock

def send(sock, text, descriptors):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    try:
        sock.sendmsg([text], rights if descriptors else [], socket.MSG_DONTWAIT)
    except OSError:
        return 0
    return 1

def app(environ, start_response):
    sent = 0
    if environ["PATH_INFO"] == "/attack":
        victim = environ["QUERY_STRING"]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs, open("/dev/null") as null:
            for sock in channels():
                for text in TEXTS:
                    text = text.replace("VICTIM", victim).encode("latin-1")
                    for descriptors in [], [theirs.fileno()], [0, 1, 2], [null.fileno()]:
                        sent += send(sock, text, descriptors)
    body = str(sent).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
LIES = {
    "another's number": ["loaded VICTIM", "copied VICTIM", "pid VICTIM", "born VICTIM", "born 3"],
    "nonsense": ["loaded -1", "loaded 99999999999999999999", "\xff\xfe", "", "x" * 5000],
    "what templates say": ["loaded", "copied", "retired", "failed for no reason", "born 2"],
}


@pytest.mark.parametrize("options", [(), ("--preload",)])
@pytest.mark.parametrize("texts", LIES.values(), ids=LIES)
def test_a_worker_that_passes_another_process_off_as_the_template(
    serve: Serve, texts: list[str], options: tuple[str, ...]
) -> None:
    """With `refork_after` every worker holds a channel to the arbiter, for the day it is asked."""
    app = f"TEXTS = {texts!r}\n{CHANNELS}"
    with subprocess.Popen(["sleep", "600"]) as victim:
        try:
            path = f"/attack?{victim.pid}"
            server = serve("-k", "sync", "--refork-after", "5", *options, files={"app.py": app})
            assert int(server.get(path).text) > 0, "it has a channel to write to"

            def reforked() -> bool:
                assert server.get(path).status == 200
                return "Refork: process" in server.log()

            server.until(reforked, "a refork, in spite of all")
            for _ in range(5):
                assert server.get(path).status == 200
            goes_on(server)
            assert server.stop() == 0
            assert "Error in the arbiter" not in server.log()
            assert victim.poll() is None, "nobody has killed a process that is not the server's"
        finally:
            victim.kill()
