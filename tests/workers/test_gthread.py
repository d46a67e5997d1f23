"""The gthread worker on a live server: threads, slow clients, hangs, counting, and its end."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Server, read_all, until

APP = """\
import os
import threading
import time
from pathlib import Path

gates = {name: threading.Event() for name in "abcdefgh"}
seen = threading.local()
active, most, lock = 0, 0, threading.Lock()

def text(start_response, value, status="200 OK"):
    body = str(value).encode()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

def app(environ, start_response):
    global active, most
    with lock:
        active += 1
        most = max(most, active)
    try:
        return serve(environ, start_response)
    finally:
        with lock:
            active -= 1

def serve(environ, start_response):
    what, _, argument = environ["PATH_INFO"][1:].partition("/")
    if what == "wait":
        gates[argument].wait(15)
        return text(start_response, threading.current_thread().name)
    if what == "open":
        gates[argument].set()
        return text(start_response, "open")
    if what == "sleep":
        time.sleep(float(argument))
        return text(start_response, "slept")
    if what == "most":
        return text(start_response, most)
    if what == "pid":
        return text(start_response, os.getpid())
    if what == "echo":
        return text(start_response, len(environ["wsgi.input"].read()))
    if what == "exit":
        raise SystemExit(7)
    if what == "fail":
        raise RuntimeError("on purpose")
    if what == "blocks":
        def blocks():
            for number in range(int(argument)):
                yield b"%d," % number
        start_response("200 OK", [("Content-Type", "text/plain")])
        return blocks()
    if what == "drips":
        def drips():
            while True:
                time.sleep(0.1)
                yield b"drop"
        start_response("200 OK", [("Content-Type", "text/plain")])
        return drips()
    if what == "held":
        # Ends when another request has been served in between.
        def blocks():
            yield b"first,"
            gates[argument].wait(15)
            yield b"second"
        start_response("200 OK", [("Content-Type", "text/plain")])
        return blocks()
    if what == "large":
        return text(start_response, "x" * int(argument))
    if what == "stream":
        def blocks():
            for _ in range(int(argument)):
                yield b"x" * 65536
        start_response("200 OK", [("Content-Type", "text/plain")])
        return blocks()
    flags = [environ["wsgi.multithread"], environ["wsgi.multiprocess"]]
    return text(start_response, flags)
"""

CONFIG = """\
lines = open("hooks.log", "a", buffering=1)

def pre_request(worker, req):
    lines.write(f"pre {req.path} {worker.nr}\\n")

def post_request(worker, req, environ, resp):
    lines.write(f"post {req.path} {resp.status_code}\\n")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("gthread")
    with Server("app:app", "--threads", "4", cwd=folder, files={"app.py": APP}) as running:
        yield running


def in_thread(server: Server, path: str, found: list[str]) -> threading.Thread:
    thread = threading.Thread(target=lambda: found.append(server.get(path).text))
    thread.start()
    return thread


def test_the_environ_says_so(server: Server) -> None:
    assert server.get().text == "[True, False]"
    server.wait_for("Using worker: gthread")


def test_as_many_at_a_time_as_there_are_threads(server: Server) -> None:
    """Three wait for what others, served by the fourth thread, will say."""
    found: list[str] = []
    waiting = [in_thread(server, f"/wait/{name}", found) for name in "abc"]
    until(lambda: int(server.get("/most").text) == 4, "three waiting and one asking")
    for name in "abc":
        assert server.get(f"/open/{name}").text == "open"
    for thread in waiting:
        thread.join(10)
    assert len(set(found)) == 3


def test_more_than_there_are_threads_wait_their_turn(server: Server) -> None:
    found: list[str] = []
    threads = [in_thread(server, "/sleep/0.05", found) for _ in range(24)]
    for thread in threads:
        thread.join(10)
    assert found == ["slept"] * 24
    assert int(server.get("/most").text) <= 4


def test_slow_clients_hold_no_thread(server: Server) -> None:
    """More of them than threads: heads and bodies that are not whole, responses not read."""
    slow = []
    for data in (
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx",
        b"GET /large/900000 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /stream/100 HTTP/1.1\r\nHost: a\r\n\r\n",
    ) * 3:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", server.port))
        client.sendall(data)
        slow.append(client)
    for _ in range(8):
        assert server.get("/pid").status == 200
    slow[0].sendall(b"Connection: close\r\n\r\n")
    assert read_all(slow[0]).endswith(b"[True, False]")
    slow[1].sendall(b"x" * 99 + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"\r\n\r\n100HTTP/1.1 200 OK" in read_all(slow[1])
    for client in slow:
        client.close()


def test_a_generator_that_waits_stops_nobody(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"GET /held/h HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        begun = client.recv(4096)
        assert server.get("/open/h").text == "open"
        whole = begun + read_all(client)
    assert b"first," in whole
    assert b"second" in whole
    assert whole.endswith(b"0\r\n\r\n")


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    requests = b"".join(
        b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path
        for path in (b"/sleep/0.05", b"/blocks/3", b"/most", b"/sleep/0.01")
    )
    answer = server.raw(
        requests + b"GET /blocks/2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert answer.count(b"HTTP/1.1 200 OK") == 5
    slept = answer.index(b"slept")
    assert slept < answer.index(b"2,") < answer.rindex(b"slept") < answer.rindex(b"1,")


def test_large_bodies_both_ways(server: Server) -> None:
    """Beyond what is buffered, so threads receive and send it."""
    reply = server.request("POST", "/echo", b"y" * 5_000_000)
    assert reply.text == "5000000"
    assert len(server.get("/large/3000000").body) == 3_000_000
    assert len(server.get("/stream/100").body) == 6_553_600


def test_exceptions_end_no_thread(server: Server) -> None:
    for _ in range(6):
        assert server.get("/fail").status == 500
        assert server.get("/exit").status == 500
    server.wait_for("RuntimeError: on purpose")
    server.wait_for("SystemExit: 7")
    found: list[str] = []
    for thread in [in_thread(server, "/sleep/0.05", found) for _ in range(8)]:
        thread.join(10)
    assert found == ["slept"] * 8


def test_hooks_and_log_and_counting(tmp_path: Path) -> None:
    files = {"app.py": APP, "gunicorn.conf.py": CONFIG}
    options = ("--threads", "3", "--access-logfile", "access.log")
    with Server("app:app", *options, cwd=tmp_path, files=files) as server:
        found: list[str] = []
        for thread in [in_thread(server, "/sleep/0.02", found) for _ in range(12)]:
            thread.join(10)
        assert server.get("/blocks/2").text == "0,1,"
        path = tmp_path / "hooks.log"
        until(lambda: len(path.read_text().splitlines()) == 26, "26 lines of the hooks")
        lines = path.read_text().splitlines()
        numbers = sorted(int(line.split()[2]) for line in lines if line.startswith("pre"))
        assert numbers[-1] == 13
        assert sum(line.endswith(" 200") for line in lines) == 13
        log = tmp_path / "access.log"
        until(lambda: len(log.read_text().splitlines()) == 13, "13 lines of the access log")


def test_max_requests_loses_none(tmp_path: Path) -> None:
    options = ("--threads", "4", "--max-requests", "20")
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}) as server:
        found: list[str] = []
        for _ in range(5):
            for thread in [in_thread(server, "/pid", found) for _ in range(12)]:
                thread.join(10)
        assert len(found) == 60
        server.wait_for("Autorestarting worker")
        until(lambda: server.get("/pid").text not in found[:12], "a new worker")


def test_a_hanging_thread_is_named_and_its_worker_replaced(tmp_path: Path) -> None:
    options = ("--threads", "2", "--timeout", "1", "--graceful-timeout", "5")
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}) as server:
        first = server.get("/pid").text
        with server.connect() as stuck:
            stuck.sendall(b"GET /wait/a HTTP/1.1\r\nHost: a\r\n\r\n")
            began = time.monotonic()
            while time.monotonic() < began + 1.2:
                assert server.get("/sleep/0.01").text == "slept"
            server.wait_for(
                r"Thread gunicorn-\d has been in the application for \S+ s \(timeout is 1 s\) "
                r"with GET /wait/a from 127"
            )
            server.wait_for(r"app.py\", line \d+, in serve\n\s+gates\[argument\].wait")
            until(lambda: server.get("/pid").text != first, "another worker")
            server.wait_for(rf"Worker exiting \(pid: {first}\)")
        server.never_says("WORKER TIMEOUT")


def test_a_call_that_was_only_slow_is_finished(tmp_path: Path) -> None:
    options = ("--threads", "2", "--timeout", "1", "--graceful-timeout", "10")
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}) as server:
        first = server.get("/pid").text
        assert server.get("/sleep/4").text == "slept"
        server.says_in_all(r"\(timeout is 1 s\) with GET /sleep/4", 1)
        server.wait_for(rf"Worker exiting \(pid: {first}\)")
        assert server.get("/pid").text != first


def test_a_request_over_its_limit_costs_no_other(tmp_path: Path) -> None:
    """Though it makes progress it is cut off in the end; what the other threads do is finished."""
    options = ("--threads", "4", "--request-timeout", "2", "--graceful-timeout", "10")
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}) as server:
        first = server.get("/pid").text
        with server.connect() as client:
            client.sendall(b"GET /drips HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(1.5)
            others: list[str] = []
            asleep = [in_thread(server, "/sleep/1.8", others) for _ in range(2)]
            server.wait_for(
                r"Thread gunicorn-\d has been in the application for 2\.\d s \(request_timeout is 2"
                r" s\) with GET /drips from 127"
            )
            server.wait_for(r"app.py\", line \d+, in drips")
            until(lambda: server.get("/pid").text != first, "another worker")
            for thread in asleep:
                thread.join(10)
            assert others == ["slept"] * 2
            received = read_all(client)
        assert received.count(b"drop") > 15
        assert not received.endswith(b"0\r\n\r\n"), "cut off, and seen to be"
        server.wait_for(rf"Worker exiting \(pid: {first}\)")
        server.never_says("WORKER TIMEOUT")
        server.says_in_all("request_timeout is", 1)


def test_a_graceful_stop_finishes_what_was_begun(tmp_path: Path) -> None:
    with Server("app:app", "--threads", "2", cwd=tmp_path, files={"app.py": APP}) as server:
        found: list[str] = []
        threads = [in_thread(server, "/sleep/0.5", found) for _ in range(4)]
        with server.connect() as idle:
            idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"200 OK" in idle.recv(4096)
            until(lambda: server.get("/most").text == "2", "two requests at a time")
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began < 10
        for thread in threads:
            thread.join(10)
        assert found == ["slept"] * 4


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGQUIT])
def test_stops_while_all_threads_are_busy(tmp_path: Path, stop: signal.Signals) -> None:
    options = ("--threads", "2", "--graceful-timeout", "1")
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}) as server:
        clients = [server.connect() for _ in range(3)]
        for client in clients:
            client.sendall(b"GET /wait/a HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: threads_waiting(server), "two threads in the application")
        began = time.monotonic()
        assert server.stop(stop) == 0
        assert time.monotonic() - began < 8
        for client in clients:
            client.close()


def threads_waiting(server: Server) -> bool:
    """Whether a new request finds no thread."""
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.settimeout(0.3)
        try:
            client.recv(100)
        except TimeoutError:
            return True
        return False
