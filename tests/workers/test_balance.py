"""Requests on kept connections do not wait for a busy worker while a sibling is free."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from pathlib import Path

import pytest

from gunicorn.workers.balance import Siblings, common_queue
from tests.servers import Server, until

HOLD = """\
import os
import time

def begun():
    with open("calls", "a") as file:
        file.write("begun\\n")

def hold():
    begun()
    while not os.path.exists("go"):
        time.sleep(0.01)
"""
"""A call that lasts until the test says so (`let_go`), and tells that it has begun."""

APP = (
    HOLD
    + """\

def app(environ, start_response):
    what = environ["PATH_INFO"][1:]
    if what == "hold":
        hold()
    elif what:
        time.sleep(float(what))
    names = ("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "PROXY_ADDR", "PROXY_PORT")
    facts = [environ.get(name, "-") for name in names]
    body = " ".join([str(os.getpid()), str(environ["wsgi.multithread"]), *facts]).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
)

CLASSES = [("--workers", "2"), ("--workers", "2", "--threads", "2")]


class Kept:
    """A connection that is kept."""

    def __init__(self, server: Server, preamble: bytes = b"") -> None:
        self.calls = server.cwd / "calls"
        self.sock = server.connect()
        self.sock.sendall(preamble)
        self.received = b""

    def send(self, path: str = "/") -> None:
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    def answer(self) -> list[str]:
        while b"\r\n\r\n" not in self.received:
            received = self.sock.recv(4096)
            assert received, f"closed after {self.received!r}"
            self.received += received
        head, rest = self.received.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200 OK")
        size = int(head.rpartition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        while len(rest) < size:
            rest += self.sock.recv(4096)
        self.received = rest[size:]
        return rest[:size].decode().split(" ")

    def hold(self) -> None:
        """Send a request whose call lasts until `let_go`, and wait until it has begun."""
        self.begin("/hold")

    def begin(self, path: str) -> None:
        """Send a request to an application that tells of calls, and wait until it is called."""
        before = self.begun()
        self.send(path)
        until(lambda: self.begun() > before, "a call in progress")

    def waits(self) -> bool:
        """Whether nothing has come."""
        return not select.select([self.sock], [], [], 0)[0]

    def begun(self) -> int:
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0

    def ask(self, path: str = "/") -> list[str]:
        self.send(path)
        return self.answer()

    @property
    def port(self) -> str:
        return str(self.sock.getsockname()[1])


def let_go(server: Server) -> None:
    """Let calls of `hold` end, those to come too."""
    (server.cwd / "go").touch()


def sockets(pid: int | str) -> int:
    """How many sockets a process has."""
    folder = f"/proc/{pid}/fd"
    return sum(
        os.path.realpath(f"{folder}/{fd}").startswith(f"{folder}/socket:")
        for fd in os.listdir(folder)
    )


def on_one_worker(server: Server, count: int) -> list[Kept]:
    """`count` kept connections to the same worker."""
    by_pid: dict[str, list[Kept]] = {}
    for _ in range(200):
        client = Kept(server)
        mine = by_pid.setdefault(client.ask()[0], [])
        mine.append(client)
        # On a machine with other work one may have moved meanwhile.
        if len(mine) >= count and len({each.ask()[0] for each in mine[-count:]}) == 1:
            return mine[-count:]
    raise AssertionError(f"never {count} on one worker")


@pytest.mark.parametrize("options", CLASSES, ids=["sync", "gthread"])
def test_a_sibling_answers(tmp_path: Path, options: tuple[str, ...]) -> None:
    """One worker is busy; all its other connections are answered meanwhile."""
    options += ("--keep-alive", "30")
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}) as server:
        server.wait_workers(2)
        threads = 2 if "--threads" in options else 1
        clients = on_one_worker(server, threads + 5)
        home = clients[0].ask()[0]
        slow, others = clients[:threads], clients[threads:]
        for client in slow:
            client.hold()
        answers = [client.ask() for client in others * 3]
        assert home not in {answer[0] for answer in answers}
        assert [answer[3] for answer in answers] == [client.port for client in others * 3]
        assert {answer[2] for answer in answers} == {"127.0.0.1"}
        assert {answer[5] for answer in answers} == {str(server.port)}
        assert {answer[1] for answer in answers} == {str("--threads" in options)}
        let_go(server)
        for client in slow:
            assert client.answer()[0] == home


def test_what_the_proxy_said_travels(tmp_path: Path) -> None:
    options = ("--workers", "2", "--keep-alive", "30", "--proxy-protocol")
    preamble = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}) as server:
        server.wait_workers(2)
        clients: dict[str, list[Kept]] = {}
        while max(map(len, clients.values()), default=0) < 4:
            client = Kept(server, preamble)
            clients.setdefault(client.ask()[0], []).append(client)
        slow, *others = max(clients.values(), key=len)
        home = slow.ask()[0]
        slow.hold()
        answers = [client.ask() for client in others * 2]
        let_go(server)
        for answer in answers:
            assert answer[0] != home
            assert answer[2:4] == ["192.0.2.7", "4711"]
            assert answer[6:8] == ["198.51.100.1", "443"]


def test_over_a_unix_socket(tmp_path: Path) -> None:
    options = ("--workers", "2", "--keep-alive", "30")
    bind = f"unix:{tmp_path}/server"
    with Server("app:app", *options, bind=bind, cwd=tmp_path, files={"app.py": APP}) as server:
        server.wait_workers(2)
        slow, *others = on_one_worker(server, 4)
        home = slow.ask()[0]
        slow.hold()
        answers = [client.ask() for client in others * 2]
        let_go(server)
        assert home not in {answer[0] for answer in answers}
        assert {answer[4] for answer in answers} == {"a"}


@pytest.mark.parametrize("options", CLASSES, ids=["sync", "gthread"])
def test_both_busy(tmp_path: Path, options: tuple[str, ...]) -> None:
    """While all are busy connections wait in one queue; who is free first takes them."""
    options += ("--keep-alive", "30")
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}) as server:
        server.wait_workers(2)
        threads = 2 if "--threads" in options else 1
        first = on_one_worker(server, threads + 5)
        home = first[0].ask()[0]
        for client in first[:threads]:
            client.hold()
        # What home has no thread for goes to the other worker, and keeps all of that busy too.
        second = first[threads : 2 * threads]
        for client in second:
            client.send("/1")
        time.sleep(0.2)
        before = cpu_time(server.workers())
        others = first[2 * threads :]
        for client in others:
            client.send()
        new = Kept(server)
        new.send()
        time.sleep(0.2)
        assert cpu_time(server.workers()) - before < 0.1, "taken, and given back at once"
        for client in [*second, *others, new]:
            assert client.answer()[0] != home
        let_go(server)


def cpu_time(pids: list[int]) -> float:
    """Seconds for which these processes have run so far (proc(5))."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def reconnect(client: Kept, server: Server) -> bool:
    client.sock.close()
    client.sock = server.connect()
    return False


def test_a_queued_connection_survives_the_death_of_both(tmp_path: Path) -> None:
    options = ("--workers", "2", "--keep-alive", "30")
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}) as server:
        pids = server.wait_workers(2)
        clients = on_one_worker(server, 3)
        slow, waiting, _ = clients
        home = slow.ask()[0]
        other = Kept(server)
        until(lambda: other.ask()[0] != home or reconnect(other, server), "the other worker")
        slow.hold()
        other.hold()
        before = sockets(home)
        waiting.send()
        until(lambda: sockets(home) < before, "the connection in the queue")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        let_go(server)
        answer = waiting.answer()
        assert int(answer[0]) not in pids
        assert answer[3] == waiting.port


def test_a_graceful_stop_answers_what_is_queued(tmp_path: Path) -> None:
    options = ("--workers", "2", "--keep-alive", "30")
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}) as server:
        server.wait_workers(2)
        first, *others = on_one_worker(server, 5)
        home = first.ask()[0]
        second = Kept(server)
        until(lambda: second.ask()[0] != home or reconnect(second, server), "the other worker")
        first.hold()
        second.hold()
        before = sockets(home)
        for client in others:
            client.send()
        until(lambda: sockets(home) == before - len(others), "all in the queue")
        server.send_signal(signal.SIGTERM)
        server.wait_for("Handling signal: term")
        let_go(server)
        for client in [first, second, *others]:
            assert len(client.answer()) == 8
        assert server.wait() == 0


def test_tls_connections_stay(tmp_path: Path, certificate) -> None:
    options = ("--workers", "2", "--keep-alive", "30", *certificate.args)
    tls = certificate.client()
    with Server("app:app", *options, cwd=tmp_path, files={"app.py": APP}, tls=tls) as server:
        server.wait_workers(2)
        slow, other, *_ = on_one_worker(server, 2)
        home = slow.ask()[0]
        slow.hold()
        other.send()
        let_go(server)
        assert other.answer()[0] == home
        assert slow.answer()[0] == home


# The queue by itself


def test_the_queue_gives_what_was_put_in() -> None:
    queue = Siblings()
    here, there = socket.socketpair()
    variables = {"REMOTE_ADDR": "::1", "SERVER_PORT": "80", "wsgi.errors": object()}
    assert queue.give(there, ("::1", 5, 0, 0), True, variables)
    there.close()
    given = queue.take()
    assert given is not None
    assert given.peer == ("::1", 5, 0, 0)
    assert given.used
    assert given.variables == {"REMOTE_ADDR": "::1", "SERVER_PORT": "80"}
    here.sendall(b"x")
    assert given.sock.recv(1) == b"x"
    assert not given.sock.get_inheritable()
    assert queue.take() is None
    for each in (here, given.sock, queue):
        each.close()


def test_a_full_queue_says_so() -> None:
    queue = Siblings()
    here, there = socket.socketpair()
    count = 0
    while queue.give(there, "", False, {}):
        count += 1
        assert count < 100_000
    assert count >= 64
    while (given := queue.take()) is not None:
        given.sock.close()
        count -= 1
    assert count == 0
    for each in (here, there, queue):
        each.close()


def test_without_descriptors_the_connection_stays_in_the_queue() -> None:
    import resource

    queue = Siblings()
    here, there = socket.socketpair()
    assert queue.give(there, "", False, {})
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.closing(socket.socket()) as highest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), limits[1]))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                queue.take()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    given = queue.take()
    assert given is not None
    for each in (here, there, given.sock, queue):
        each.close()


@pytest.mark.parametrize(
    ("before", "after"), [("sync", "sync"), ("sync", "gthread"), ("gthread", "gthread")]
)
def test_a_reload_passes_on_what_waits_for_a_long_call(
    tmp_path: Path, before: str, after: str
) -> None:
    """Connections that a worker of the old generation has no time for go to the new one."""
    conf = tmp_path / "gunicorn.conf.py"
    text = "workers = 2\nkeepalive = 30\nworker_class = {!r}\nthreads = 1\n"
    files = {"app.py": APP, conf.name: text.format(before)}
    with Server("app:app", cwd=tmp_path, files=files) as server:
        old = set(map(str, server.wait_workers(2)))
        busy, *others = on_one_worker(server, 4)
        busy.hold()
        conf.write_text(text.format(after))
        server.send_signal(signal.SIGHUP)
        server.wait_for(r"Worker exiting")
        server.until(lambda: len(old & set(map(str, server.workers()))) == 1, "one old worker")
        server.wait_for(r"Booting worker", count=4)
        for client in others:
            assert client.ask()[0] not in old
        let_go(server)
        assert busy.answer()[0] in old


def test_there_is_one_queue() -> None:
    assert common_queue() is common_queue()
