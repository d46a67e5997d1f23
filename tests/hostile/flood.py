"""Clients that never pause, as a process: `python -m tests.hostile.flood PORT KIND COUNT [tls]`.

Each keeps the server's receive buffer full with what is small to send and dear to read. `ready` is
printed when all have begun. When standard input ends one line of JSON says what became of them.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import sys
import time
from collections import Counter

CHUNKED = b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
KINDS = {
    # What is sent first, and then again and again
    "chunks": (CHUNKED, b"1\r\na\r\n" * 8000),
    "pairs": (CHUNKED, b"2\r\naa\r\n" * 8000),
}
PAUSE = 0.01
"""Seconds between two rounds, so that the processor is the server's."""


class Client:
    def __init__(self, address: tuple[str, int], kind: str, tls: ssl.SSLContext | None) -> None:
        first, self.again = KINDS[kind]
        self.rest = first + self.again
        self.sock = socket.create_connection(address, 20)
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.sock.settimeout(0)
        self.end = ""

    def step(self) -> None:
        """Send what the server takes; notice when it has had enough."""
        try:
            while True:
                sent = self.sock.send(self.rest)
                self.rest = self.rest[sent:] or self.again
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self.end = "cut"
        try:
            self.end = self.sock.recv(65536)[9:12].decode() or "closed"
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self.end = self.end or "cut"


def main() -> None:
    address, kind, count = ("127.0.0.1", int(sys.argv[1])), sys.argv[2], int(sys.argv[3])
    tls = None
    if sys.argv[4:] == ["tls"]:
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    stop = select.poll()
    stop.register(sys.stdin, select.POLLIN | select.POLLHUP)
    clients = [Client(address, kind, tls) for _ in range(count)]
    ends: Counter[str] = Counter()
    for number in range(1 << 60):
        for index, client in enumerate(clients):
            client.step()
            if client.end:
                # Another one takes its place.
                ends[client.end] += 1
                client.sock.close()
                clients[index] = Client(address, kind, tls)
        if number == 1:
            print("ready", flush=True)
        if stop.poll(0):
            break
        time.sleep(PAUSE)
    print(json.dumps(ends), flush=True)


if __name__ == "__main__":
    main()
