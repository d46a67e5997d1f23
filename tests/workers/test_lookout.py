"""What goes on around a call that lasts in a sync worker with siblings, and in gthread."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gunicorn import compiled
from gunicorn.scoreboard import BUSY_SINCE, REQUESTS, Slot
from gunicorn.workers import lookout
from gunicorn.workers.lookout import Bell, Seen, watch
from tests.servers import Server
from tests.workers.test_balance import HOLD, Kept, let_go, on_one_worker

APP = (
    HOLD
    + """\

def app(environ, start_response):
    kind, _, seconds = environ["PATH_INFO"][1:].partition("/")
    if kind == "hold":
        hold()
    elif kind == "sleep":
        begun()
        time.sleep(float(seconds))
    elif kind == "compute":
        begun()
        until = time.monotonic() + float(seconds)
        while time.monotonic() < until:
            pass
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = f"{os.getpid()} {len(environ['wsgi.input'].read(size))}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
)

Watch = Callable[[memoryview, int, float], Seen]


def start(folder: Path, *options: str) -> Server:
    return Server("app:app", "--keep-alive", "30", *options, cwd=folder, files={"app.py": APP})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with start(tmp_path, "--workers", "2") as server:
        server.wait_workers(2)
        yield server


@pytest.mark.parametrize("kind", ["sleep", "compute"])
def test_a_call_that_lasts_among_short_ones(server: Server, kind: str) -> None:
    """Also one that does not let go of the interpreter's lock."""
    slow, *others = on_one_worker(server, 4)
    for _ in range(100):
        others[0].ask()
    if kind == "sleep":
        slow.hold()
    else:
        slow.begin("/compute/3")
    answers = [client.ask()[0] for client in others]
    assert slow.waits(), "for its answer, which comes after those of the others"
    let_go(server)
    assert slow.answer()[0] not in answers


def test_what_cannot_go_waits_and_is_served(server: Server) -> None:
    """The rest of a head, the next request of the slow client itself, a body."""
    slow, half, other = on_one_worker(server, 3)
    half.sock.sendall(b"GET / HTTP/1.1\r\nHo")
    slow.ask()  # which came later, so that the worker has the half by now
    slow.hold()
    slow.send("/")
    half.sock.sendall(b"st: a\r\n\r\n")
    # The sibling takes the head of this one, and says so; then its body.
    fields = b"Host: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    other.sock.sendall(b"POST / HTTP/1.1\r\n" + fields)
    assert other.sock.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
    other.sock.sendall(b"abc")
    elsewhere, size = other.answer()
    assert size == "3"
    let_go(server)
    home = slow.answer()[0]
    assert home != elsewhere
    assert slow.answer()[0] == half.answer()[0] == home


@pytest.mark.alone
def test_many_calls_of_some_milliseconds(server: Server) -> None:
    """They are announced: a client waits for none of them while the other worker is free."""
    first, second = on_one_worker(server, 2)
    ends = []

    def ask(client: Kept) -> None:
        for _ in range(100):
            client.ask("/sleep/0.01")
        ends.append(time.monotonic())

    began = time.monotonic()
    threads = [threading.Thread(target=ask, args=(each,)) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    # On one worker it would be two seconds and more.
    assert max(ends) - began < 1.8


@pytest.mark.parametrize("parser", ["fast", "python"] if compiled.available() else ["python"])
def test_what_is_finished_leaves_while_the_next_call_lasts(tmp_path: Path, parser: str) -> None:
    """Short responses of one round leave together, but not when that takes long."""
    with start(tmp_path, "--workers", "2", "--http-parser", parser) as server:
        server.wait_workers(2)
        quick, slow, last = clients = on_one_worker(server, 3)
        (pid,) = {int(client.ask()[0]) for client in clients}
        # Calls that took long are remembered for a while, in which nothing is held.
        time.sleep(0.3)
        os.kill(pid, signal.SIGSTOP)
        for client, path in ((quick, "/"), (slow, "/hold"), (last, "/")):
            client.send(path)
        os.kill(pid, signal.SIGCONT)
        assert int(quick.answer()[0]) == pid
        assert int(last.answer()[0]) != pid
        let_go(server)
        assert int(slow.answer()[0]) == pid


@pytest.mark.parametrize(("kind", "threads"), [("sync", 1), ("gthread", 1), ("gthread", 2)])
def test_new_clients_go_to_who_is_free(tmp_path: Path, kind: str, threads: int) -> None:
    options = ("-k", kind, "--threads", str(threads), "--workers", "2")
    with start(tmp_path, *options) as server:
        server.wait_workers(2)
        slow = on_one_worker(server, threads)
        for client in slow:
            client.hold()
        for _ in range(10):
            Kept(server).ask()
            time.sleep(0.02)
        let_go(server)
        for client in slow:
            client.answer()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_that_gets_company(tmp_path: Path, threads: int) -> None:
    with start(tmp_path, "--threads", str(threads)) as server:
        (alone,) = server.wait_workers(1)
        clients = [Kept(server) for _ in range(threads + 3)]
        assert {int(client.ask()[0]) for client in clients} == {alone}
        server.send_signal(signal.SIGTTIN)
        server.wait_workers(2)

        def shared() -> bool:
            """Whether others are answered while it is busy; it looks for company now and then."""
            for client in clients[:threads]:
                client.begin("/sleep/1")
            answers = [int(client.ask()[0]) for client in clients[threads:] * 3]
            for client in clients[:threads]:
                client.answer()
            return alone not in answers

        server.until(shared, "calls of its clients in the other worker")


def test_a_worker_that_is_alone_has_no_lookout(tmp_path: Path) -> None:
    with start(tmp_path) as server:
        (pid,) = server.wait_workers(1)
        assert server.get().status == 200
        time.sleep(0.7)
        assert len(os.listdir(f"/proc/{pid}/task")) == 2, "the main thread and the witness"


def test_a_hang_is_still_one(tmp_path: Path) -> None:
    """The lookout gives no sign of life in the name of the application."""
    with start(tmp_path, "--workers", "2", "--timeout", "2") as server:
        server.wait_workers(2)
        client = Kept(server)
        client.send("/sleep/30")
        server.wait_for("WORKER TIMEOUT")
        server.wait_for("GET /sleep/30 from 127.0.0.1")


# The looks, compiled and not


def watches() -> list[Watch]:
    if not compiled.available():
        return [watch]
    from gunicorn.workers import _lookout

    return [watch, _lookout.watch]


@pytest.fixture
def bell() -> Iterator[Bell]:
    made = Bell()
    yield made
    made.close()


@pytest.mark.parametrize("look", watches())
class TestWatch:
    def test_it_is_quiet(self, look: Watch, bell: Bell) -> None:
        began = time.monotonic()
        assert look(Slot().cells, bell.end, 0.005) is Seen.QUIET
        assert time.monotonic() - began >= lookout.QUIET_GLANCES * lookout.GLANCE * 0.9

    def test_the_bell_ends_it(self, look: Watch, bell: Bell) -> None:
        cells = Slot().cells
        cells[BUSY_SINCE] = time.monotonic() - 10
        bell.ring()
        assert look(cells, bell.end, 0.005) is Seen.RUNG

    def test_a_call_lasts(self, look: Watch, bell: Bell) -> None:
        cells = Slot().cells
        cells[BUSY_SINCE] = time.monotonic()
        assert look(cells, bell.end, 0.005) is Seen.LASTING

    def test_many_short_calls_and_then_none(self, look: Watch, bell: Bell) -> None:
        cells = Slot().cells
        stop = time.monotonic() + 0.5

        def serve() -> None:
            while (now := time.monotonic()) < stop:
                cells[BUSY_SINCE] = now
                cells[REQUESTS] += 1
                cells[BUSY_SINCE] = 0.0
                time.sleep(0.0001)

        thread = threading.Thread(target=serve)
        thread.start()
        # Whoever is slow to look may take such a call for a long one, but not for all time.
        seen = look(cells, bell.end, 60.0)
        thread.join()
        assert seen is Seen.QUIET
        assert time.monotonic() >= stop

    def test_calls_are_long_on_the_average(self, look: Watch, bell: Bell) -> None:
        cells = Slot().cells
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                cells[BUSY_SINCE] = time.monotonic()
                time.sleep(0.004)
                cells[REQUESTS] += 1
                cells[BUSY_SINCE] = 0.0
                time.sleep(0.001)

        thread = threading.Thread(target=serve)
        thread.start()
        seen = look(cells, bell.end, 60.0)
        stop.set()
        thread.join()
        assert seen is Seen.LONG
