"""Clients that do one kind of harm, as a process: `python -m tests.faults.attackers PORT KIND`.

They go on until standard input ends; then one line of JSON says how often what came of it. What
begins with "wrong" should not have come. A request that is cut short is none of these: workers are
killed meanwhile. Each pauses now and then, so that not the machine is the bottleneck.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable

from tests.faults.storm_app import RAISED

RESET = struct.pack("ii", 1, 0)
DEADLINE = 20.0
CHILDREN = ("raise", "return", "exit", "odd", "exec", "sleep", "double", "process")
CHUNKS = b"1\r\na\r\n" * 500
CHUNKED = b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
FLOODERS = 60
PIPELINED = 1500


class Attack:
    """Something to do to the server at `port`; `counts` is what came of it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.counts: Counter[str] = Counter()
        self.over = threading.Event()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), DEADLINE)

    def ask(self, method: str, path: str) -> bytes:
        """All that is answered to a request, the only one on its connection."""
        with self.connect() as client:
            head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            client.sendall(head.encode())
            return b"".join(iter(lambda: client.recv(65536), b""))

    def note(self, outcome: str) -> None:
        self.counts[outcome] += 1

    def expect(self, method: str, path: str, status: bytes, end: bytes = b"") -> None:
        """Ask, and note whether the answer is one, and is the right one."""
        try:
            answer = self.ask(method, path)
        except TimeoutError:
            self.note(f"wrong: no answer to {path}")
            return
        except OSError:
            answer = b""
        if not answer:
            self.note("cut")
        elif (
            answer.startswith(b"HTTP/1.1 " + status)
            and answer.endswith(end)
            and answer.count(b"HTTP/1.1 ") == 1
        ):
            self.note("right")
        else:
            self.note(f"wrong: {answer[:300]!r} to {path}")

    def children(self) -> None:
        """Children of the application that come back into the server, or do not end at once."""
        for what in itertools.cycle(CHILDREN):
            self.expect("GET", f"/child/{what}", b"200", b"\r\n\r\nparent")
            if self.over.wait(0.1):
                return

    def exceptions(self) -> None:
        """What the application raises is no Exception."""
        for name in itertools.cycle(RAISED):
            self.expect("GET", f"/raise/{name}", b"500")
            self.expect("GET", f"/late/{name}", b"200")
            if self.over.wait(0.1):
                return

    def chunks(self) -> None:
        """Bodies of tiny chunks without end, from many clients."""
        clients: dict[int, socket.socket] = {}
        poll = select.poll()
        while not self.over.wait(0.05):
            while len(clients) < FLOODERS:
                try:
                    client = self.connect()
                except OSError:
                    self.note("cut")
                    break
                client.setblocking(False)
                with contextlib.suppress(OSError):
                    client.send(CHUNKED)
                clients[client.fileno()] = client
                poll.register(client, select.POLLIN | select.POLLOUT)
            for fd, mask in poll.poll(100):
                client = clients[fd]
                try:
                    if mask & ~select.POLLOUT:
                        self.note("refused" if client.recv(4096) else "closed")
                        raise ConnectionError
                    self.counts["bytes"] += client.send(CHUNKS)
                except BlockingIOError:
                    continue
                except OSError:
                    poll.unregister(fd)
                    clients.pop(fd).close()

    def pipelining(self) -> None:
        """Many requests at once on one connection, answers to all of which are read."""
        while not self.over.wait(0.05):
            try:
                self.pipeline()
            except OSError:
                self.note("cut")

    def pipeline(self) -> None:
        """Send PIPELINED requests, and note in which order they are answered."""
        requests = [f"GET /?{number:06} HTTP/1.1\r\nHost: a\r\n\r\n" for number in range(PIPELINED)]
        last = requests[-1][6:12].encode()
        received = bytearray()
        with self.connect() as client:
            sender = threading.Thread(target=self.send, args=(client, "".join(requests).encode()))
            sender.start()
            with contextlib.suppress(OSError):
                while not received.endswith(last):
                    block = client.recv(1 << 20)
                    if not block:
                        break
                    received += block
            if not received.endswith(last):
                client.shutdown(socket.SHUT_RDWR)
            sender.join()
        bodies = [part[-6:] for part in bytes(received).split(b"HTTP/1.1 200 OK")[1:]]
        expected = [request[6:12].encode() for request in requests]
        if bodies == expected:
            self.note("all answered")
        elif bodies[:-1] == expected[: len(bodies) - 1 if bodies else 0]:
            self.note("cut")
        else:
            self.note("wrong: answers out of order")

    def send(self, client: socket.socket, data: bytes) -> None:
        with contextlib.suppress(OSError):
            client.sendall(data)

    def resets(self) -> None:
        """Connections that are reset at every stage."""
        stages = (
            b"", b"GET",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc",
            CHUNKED + b"5\r\nab", b"nonsense\r\n\r\n", b"HEAD /big HTTP/1.1\r\nHost: a\r\n\r\n",
        )  # fmt: skip
        for number, data in enumerate(itertools.cycle(stages)):
            with contextlib.suppress(OSError), self.connect() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.sendall(data)
                if number % 3 == 0 and data.endswith(b"\r\n\r\n"):
                    client.recv(10_000)
                self.note("reset")
            if self.over.wait(0.01):
                return

    def streams(self) -> None:
        """Streams without end that are left in the middle, or of which only the head is asked."""
        while True:
            with contextlib.suppress(OSError), self.connect() as client:
                client.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
                received = 0
                while received < 200_000:
                    block = client.recv(65536)
                    if not block:
                        break
                    received += len(block)
                self.note("left" if received >= 200_000 else "cut")
            self.expect("HEAD", "/events", b"200", b"\r\n\r\n")
            if self.over.wait(0.1):
                return


KINDS: dict[str, Callable[[Attack], None]] = {
    each.__name__: each
    for each in (
        Attack.children, Attack.exceptions, Attack.chunks, Attack.pipelining, Attack.resets,
        Attack.streams,
    )
}  # fmt: skip


def main() -> None:
    # The machine is there for the server; whoever attacks takes what is left.
    os.nice(10)
    attack = Attack(int(sys.argv[1]))
    thread = threading.Thread(target=KINDS[sys.argv[2]], args=(attack,))
    thread.start()
    sys.stdin.read()
    attack.over.set()
    thread.join(DEADLINE + 5)
    if thread.is_alive():
        attack.note("wrong: the attack hangs")
    print(json.dumps(attack.counts), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
