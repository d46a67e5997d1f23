"""New connections are spread over idle workers, and wake no more of them than needed."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gunicorn.scoreboard import ACCEPTING, BUSY_SINCE, CONNECTIONS, Scoreboard
from gunicorn.workers.turns import RECOUNT, Turns
from tests.servers import Server, until
from tests.worker_classes import WORKER_CLASSES

PID = """\
import os

def app(environ, start_response):
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

CLIENTS = 64

Arrival = Callable[[Server, contextlib.ExitStack], Iterator[str]]


@pytest.fixture(scope="module", params=["shared", "reuse_port"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("spread")
    args = ["--workers", "4", "--keep-alive", "30"]
    if request.param == "reuse_port":
        args.append("--reuse-port")
    with Server("app:app", *args, cwd=folder, files={"app.py": PID}) as started:
        started.wait_workers(4)
        # Until each has answered, some may still be booting.
        seen: set[str] = set()
        until(lambda: len(seen.add(started.get().text) or seen) == 4, "an answer of each worker")
        yield started


REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def ask(client: socket.socket) -> str:
    client.sendall(REQUEST)
    return client.recv(4096).rpartition(b"\r\n")[2].decode()


def in_turn(server: Server, clients: contextlib.ExitStack) -> Iterator[str]:
    """Each connects, asks and stays."""
    for _ in range(CLIENTS):
        yield ask(clients.enter_context(server.connect()))


def at_once(server: Server, clients: contextlib.ExitStack) -> Iterator[str]:
    """All connect before the first asks."""
    connected = [clients.enter_context(server.connect()) for _ in range(CLIENTS)]
    yield from map(ask, connected)


def and_leave(server: Server, clients: contextlib.ExitStack) -> Iterator[str]:
    """Each connects, asks and leaves."""
    for _ in range(CLIENTS):
        with server.connect() as client:
            yield ask(client)


@pytest.mark.alone
@pytest.mark.parametrize("arrive", [in_turn, at_once, and_leave])
def test_idle_workers_get_even_shares(server: Server, arrive: Arrival) -> None:
    rounds: list[Counter[str]] = []
    while not rounds or not is_even(rounds[-1]):
        # Where others take the CPUs away, a worker may come too late for its share.
        assert len(rounds) < 4, rounds
        with contextlib.ExitStack() as clients:
            rounds.append(Counter(arrive(server, clients)))


SLOW = """\
import time

def app(environ, start_response):
    time.sleep(0.001)
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


@pytest.mark.parametrize(
    "worker_class", [name for name in WORKER_CLASSES if name != "sync-siblings"]
)
def test_new_clients_wait_for_one_round_of_the_others(tmp_path: Path, worker_class: str) -> None:
    """However many come at once to a worker that has the listener for itself."""
    with (
        Server(
            "app:app", *WORKER_CLASSES[worker_class], cwd=tmp_path, files={"app.py": SLOW}
        ) as server,
        contextlib.ExitStack() as clients,
    ):
        busy = [clients.enter_context(server.connect()) for _ in range(32)]
        poll = select.poll()
        kept = {client.fileno(): client for client in busy}
        for client in busy:
            ask(client)
            poll.register(client, select.POLLIN)
            client.sendall(REQUEST)
        new = [clients.enter_context(server.connect()) for _ in range(32)]
        for client in new:
            client.sendall(REQUEST)
            poll.register(client, select.POLLIN)
        left = {client.fileno(): client for client in new}
        served = 0
        while left:
            for fd, _ in poll.poll(10_000):
                if fd in left:
                    assert left.pop(fd).recv(4096).startswith(b"HTTP/1.1 200 ")
                    poll.unregister(fd)
                else:
                    assert kept[fd].recv(4096).startswith(b"HTTP/1.1 200 ")
                    kept[fd].sendall(REQUEST)
                    served += 1
        # One new client in each round would make it 16 requests of the others for each.
        assert served < 8 * len(new), f"{served} requests were served before the last of them"


def is_even(shares: Counter[str]) -> bool:
    return len(shares) == 4 and all(0.15 <= each / CLIENTS <= 0.35 for each in shares.values())


def waits(server: Server) -> int:
    """How often the workers have gone to sleep so far, all together."""
    status = (Path(f"/proc/{pid}/status").read_text() for pid in server.workers())
    return sum(int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in status)


@pytest.mark.alone
def test_a_connection_wakes_one_worker(server: Server) -> None:
    with contextlib.ExitStack() as clients:
        before, began = waits(server), time.monotonic()
        for _ in range(CLIENTS):
            clients.enter_context(server.connect())
            # Apart, so that each meets workers that wait.
            time.sleep(0.005)
        woken = waits(server) - before
    ticks = 4 * 2 * (time.monotonic() - began + 1)
    # If all were woken for each it would be four times as many.
    assert woken < 2 * CLIENTS + ticks, f"{CLIENTS} connections woke workers {woken} times"


def test_a_worker_steps_aside_only_in_a_row_and_for_an_idle_sibling_with_fewer() -> None:
    board = Scoreboard(2)
    mine, other = board.acquire(), board.acquire()
    mine.pid, other.pid = 1, 2
    now = time.monotonic()
    turns = Turns(mine)
    other.cells[ACCEPTING] = 1.0
    assert not turns.is_anothers(now, 3), "not in a row"
    time.sleep(0.001)
    turns.taken()
    assert turns.is_anothers(now, 3)
    assert not turns.is_anothers(now, 0), "the other has as many"
    other.cells[BUSY_SINCE] = now
    assert not turns.is_anothers(now, 3), "the other is busy"
    other.cells[BUSY_SINCE] = 0.0
    other.cells[CONNECTIONS] = 15
    assert not turns.is_anothers(now, 16), "nearly even"
    other.cells[CONNECTIONS] = 0
    assert not turns.is_anothers(now + 60, 3), "the other gives no sign of life"
    other.cells[ACCEPTING] = 0.0
    assert not turns.is_anothers(now, 3), "the other does not accept"
    other.cells[ACCEPTING] = 1.0
    time.sleep(0.001)
    assert not turns.is_anothers(now, 3), "it has waited"


def test_a_worker_knows_whether_the_listener_is_all_its_own() -> None:
    board = Scoreboard(2)
    mine, other = board.acquire(), board.acquire()
    mine.pid, other.pid = 1, 2
    turns = Turns(mine)
    mine.cells[ACCEPTING] = 1.0
    assert not turns.is_anothers(time.monotonic(), 3)
    assert turns.is_nobody_elses()
    other.cells[ACCEPTING] = 1.0
    assert not turns.is_nobody_elses()
    other.cells[ACCEPTING] = 0.0
    assert turns.is_nobody_elses(), "the other has no place"
    other.cells[ACCEPTING] = 1.0
    board.release(other)
    assert not turns.is_anothers(time.monotonic() + RECOUNT, 3)
    assert turns.is_nobody_elses(), "the other has gone"
