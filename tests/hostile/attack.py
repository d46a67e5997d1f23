"""Clients that mean harm, as a process: `python -m tests.hostile.attack PORT KIND=COUNT...`.

All of them are connected first; then `ready` is printed and they go on once a second, each in the
way of its kind, until standard input ends. Then one line of JSON says what became of them.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator

HEAD = b"GET /fast HTTP/1.1\r\nHost: a\r\nX-Slow: "
BODY = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
CHUNKED = b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
DOWNLOAD = b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n"
RESET = struct.pack("ii", 1, 0)


class Client:
    """One connection; `step` is called once a second."""

    begins = b""
    trickles = b""

    def __init__(self, address: tuple[str, int]) -> None:
        self.answer = b""
        self.closed = False
        self.sock = socket.socket()
        self.prepare()
        self.sock.settimeout(20)
        self.sock.connect(address)
        self.sock.settimeout(0)
        self.send(self.begins)

    def prepare(self) -> None:
        """Set options of the socket before it is connected."""

    def send(self, data: bytes) -> None:
        try:
            self.sock.send(data)
        except BlockingIOError:
            return
        except OSError:
            self.closed = True

    def step(self) -> None:
        self.look()
        if not self.closed:
            self.send(self.trickles)

    def look(self) -> None:
        """Notice an answer, or the end."""
        if self.closed:
            return
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.closed = not data
        self.answer += data

    @property
    def fate(self) -> str:
        status = self.answer[9:12].decode() or "none"
        return f"{'closed' if self.closed else 'open'} {status}"


class SlowHead(Client):
    begins = HEAD
    trickles = b"x"


class SlowBody(Client):
    begins = BODY + b"x" * 100
    trickles = b"x"


class SlowChunks(Client):
    begins = CHUNKED
    trickles = b"1\r\nx\r\n"


class Silent(Client):
    def send(self, data: bytes) -> None:
        """Say nothing."""


class NonReader(Client):
    begins = DOWNLOAD

    def prepare(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def look(self) -> None:
        """Read nothing, and notice only that the server has given up."""
        poll = select.poll()
        poll.register(self.sock, 0)
        self.closed = bool(poll.poll(0))


KINDS: dict[str, type[Client]] = {
    "head": SlowHead, "body": SlowBody, "chunks": SlowChunks, "silent": Silent,
    "reader": NonReader,
}  # fmt: skip


def storm(address: tuple[str, int], count: int) -> Counter[str]:
    """Connect and reset, at every stage of a request."""
    stages = [
        b"",
        b"GET",
        HEAD,
        BODY + b"x" * 500,
        b"GET /fast HTTP/1.1\r\nHost: a\r\n\r\n",
        DOWNLOAD,
    ]
    done: Counter[str] = Counter()
    for number in range(count):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.settimeout(20)
            sock.connect(address)
            sock.send(stages[number % len(stages)])
            if number % 12 > 5:
                sock.shutdown(socket.SHUT_WR)
            if number % 3:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            done["connected"] += 1
    return done


def wanted(words: list[str]) -> Iterator[type[Client]]:
    """The clients of all kinds, mixed."""
    left = {KINDS[name]: int(count) for name, count in (word.split("=") for word in words)}
    while any(left.values()):
        for kind, count in left.items():
            if count:
                left[kind] = count - 1
                yield kind


def main() -> None:
    address = ("127.0.0.1", int(sys.argv[1]))
    clients = [] if sys.argv[2].startswith("storm") else [x(address) for x in wanted(sys.argv[2:])]
    print("ready", flush=True)
    fates: Counter[str] = Counter()
    stop = select.poll()
    stop.register(sys.stdin, select.POLLIN | select.POLLHUP)
    if not clients:
        fates = storm(address, int(sys.argv[2].split("=")[1]))
        stop.poll()
    while clients and not stop.poll(0):
        began = time.monotonic()
        for client in clients:
            client.step()
        stop.poll(max(began + 1 - time.monotonic(), 0) * 1000)
    for client in clients * 2:  # an answer, and the end behind it
        client.look()
    fates.update(f"{type(client).__name__} {client.fate}" for client in clients)
    print(json.dumps(fates), flush=True)


if __name__ == "__main__":
    main()
