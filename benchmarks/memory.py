"""The memory of this tree's server: at its peak under large responses, and for idle connections.

The clients ask and do not read at first: a server that holds what it cannot send shows it then.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .measure import FAILURES, Cores, check, running
from .process import POLL, ServerProcess
from .scenarios import BY_KEY, MIB, SCENARIOS
from .servers import Server

SIZES = (10, 100)
"""Sizes of the response, MiB."""
KINDS = ("file", "blocks")
"""Paths of apps/payload.py: wsgi.file_wrapper, and a generator of 64 KiB blocks."""
READERS = 4
"""Clients at a time."""
PAUSE = 0.5
"""Seconds in which the clients do not read."""

IDLE = 10_000
"""Kept connections, when the limit of open files allows them."""
SPARE_FILES = 200
"""Descriptors that client and server need for other things."""
IDLE_BATCH = 100
TIMEOUT = 30.0
"""Seconds that a client waits for a byte."""


@dataclass(frozen=True)
class Peak:
    """Peak resident set of the server's processes together, bytes."""

    kind: str
    size: int
    """MiB of the response."""
    peak: int


@dataclass(frozen=True)
class Idle:
    """Kept connections that wait, and what they cost."""

    connections: int
    bytes_each: float


@dataclass
class Memory:
    """Everything measured here; `failures` says what could not be."""

    peaks: list[Peak]
    idle: Idle | None
    failures: list[str]


def measure(server: Server, cores: Cores, directory: Path, missing: Mapping[str, str]) -> Memory:
    """Take all the figures of one server."""
    memory = Memory([], None, [])
    for kind in KINDS:
        for size in SIZES:
            try:
                peak = peak_of(server, kind, size, cores, directory, missing)
                memory.peaks.append(Peak(kind, size, peak))
            except FAILURES as error:
                memory.failures.append(f"{kind}, {size} MiB: {error}")
    try:
        memory.idle = idle_of(server, cores, directory, missing)
    except FAILURES as error:
        memory.failures.append(f"idle connections: {error}")
    return memory


@contextlib.contextmanager
def payload_files(sizes: tuple[int, ...] = SIZES) -> Iterator[Path]:
    """A directory with the files that apps/payload.py serves, on whatever /tmp is."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        directory = Path(name)
        for size in sizes:
            with (directory / f"payload-{size}").open("wb") as file:
                for _ in range(size):
                    file.write(b"x" * MIB)
        yield directory


def peak_of(
    server: Server,
    kind: str,
    size: int,
    cores: Cores,
    directory: Path,
    missing: Mapping[str, str],
) -> int:
    """Bytes at the peak of a fresh server that serves READERS responses of this size at once."""
    with running(server, "payload:app", cores, directory, missing) as (process, url):
        check(BY_KEY["response-1m"], process, url)
        request = f"GET /{kind}/{size} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(connect(url)) for _ in range(READERS)]
            for client in clients:
                client.sendall(request)
            time.sleep(PAUSE)
            # At once: a server may take its requests in any order, one after the other.
            with ThreadPoolExecutor(READERS) as pool:
                list(pool.map(read_response, clients, [size * MIB] * READERS))
        return process.memory("VmHWM")


def idle_of(server: Server, cores: Cores, directory: Path, missing: Mapping[str, str]) -> Idle:
    """What a kept connection costs that has had one request answered and waits for the next."""
    with more_files() as limit:
        count = min(IDLE, limit - SPARE_FILES)
        hello = SCENARIOS[0]
        with running(server, hello.app, cores, directory, missing) as (process, url):
            check(hello, process, url)
            before = resting(process)
            request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            with contextlib.ExitStack() as stack:
                for start in range(0, count, IDLE_BATCH):
                    batch = [
                        stack.enter_context(connect(url))
                        for _ in range(start, min(start + IDLE_BATCH, count))
                    ]
                    for client in batch:
                        client.sendall(request)
                    for client in batch:
                        read_response(client, hello.response)
                after = resting(process)
    return Idle(count, (after - before) / count)


def connect(url: str) -> socket.socket:
    """A client connection to a server."""
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), TIMEOUT)


def read_response(client: socket.socket, length: int) -> None:
    """Read a head and `length` bytes of body, framed by Content-Length; OSError when cut short."""
    received = bytearray()
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += receive(client)
    if not received.startswith(b"HTTP/1.1 200"):
        raise OSError(f"the server answered {bytes(received[:60])!r}")
    left = length - (len(received) - end - 4)
    while left > 0:
        left -= len(receive(client))
    if left < 0:
        raise OSError(f"the body is longer than {length} bytes")


def receive(client: socket.socket) -> bytes:
    """Some bytes; OSError when the server closed."""
    data = client.recv(1 << 16)
    if not data:
        raise OSError("the server closed the connection before the end of the response")
    return data


def resting(process: ServerProcess) -> int:
    """Resident bytes now, when they have stopped changing (or after two seconds)."""
    deadline = time.monotonic() + 2
    last = process.memory("VmRSS")
    while time.monotonic() < deadline:
        time.sleep(5 * POLL)
        now = process.memory("VmRSS")
        if now == last:
            break
        last = now
    return last


@contextlib.contextmanager
def more_files() -> Iterator[int]:
    """As many open files as the hard limit allows, here and in what is started; gives the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + SPARE_FILES
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    limit = max(limit, soft) if soft != resource.RLIM_INFINITY else wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield limit
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
