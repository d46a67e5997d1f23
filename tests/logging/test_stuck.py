"""Logs whose reader has stopped reading: requests go on, lines are lost and counted."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import pty
import re
import socket
import sys
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from gunicorn.logs import unwaiting
from gunicorn.logs.handlers import LineHandler
from gunicorn.logs.syslog import open_syslog
from tests.servers import Server
from tests.worker_classes import WORKER_CLASSES

APP = """\
import logging

def app(environ, start_response):
    logging.getLogger("gunicorn.error").info("heard of %s", environ)
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""

ASGI = """\
import logging

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    logging.getLogger("gunicorn.error").info("heard of %s %s", scope["path"], "x" * 1000)
    fields = [(b"content-length", b"5"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": b"hello"})
"""

EVERY_CLASS = {**WORKER_CLASSES, "uvicorn": ("--worker-class", "uvicorn_worker.UvicornWorker")}

CONNECTED = """\
import os, socket, sys
stream = socket.socket(socket.AF_UNIX)
stream.connect("out")
for number in sys.argv[1].split(","):
    os.dup2(stream.fileno(), int(number))
stream.close()
os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *sys.argv[2:]])
"""

LONG = {"User-Agent": "x" * 1000}
"""What fills a pipe soon."""

QUICK = 5.0
"""Seconds that a request may take on a busy machine. One that waits for a reader takes for ever."""


class Reader:
    """The other end of a log. It reads when it is told to."""

    def __init__(self, fd: int, command: tuple[str, ...]) -> None:
        self.fd = fd
        self.command = command

    def begin(self) -> None:
        """The server is being started."""

    def drain(self) -> bytes:
        """Read all that is there."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.fd, 1 << 20):
                data += piece
        return data


def to_path(redirection: str) -> tuple[str, ...]:
    return ("sh", "-c", f'exec "$0" -m gunicorn "$@" {redirection}', sys.executable)


@contextlib.contextmanager
def a_pipe(folder: Path, numbers: tuple[int, ...]) -> Iterator[Reader]:
    os.mkfifo(folder / "out")
    fd = os.open(folder / "out", os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096)
    yield Reader(fd, to_path(" ".join(f"{number}>out" for number in numbers)))
    os.close(fd)


@contextlib.contextmanager
def a_terminal(folder: Path, numbers: tuple[int, ...]) -> Iterator[Reader]:
    fd, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(fd, False)
    yield Reader(fd, to_path(" ".join(f"{number}>{os.ttyname(slave)}" for number in numbers)))
    os.close(slave)
    os.close(fd)


class SocketReader(Reader):
    def __init__(self, listener: socket.socket, command: tuple[str, ...]) -> None:
        super().__init__(-1, command)
        self.listener = listener

    def begin(self) -> None:
        accepted, _ = self.listener.accept()
        accepted.setblocking(False)
        self.fd = accepted.detach()


@contextlib.contextmanager
def a_socket(folder: Path, numbers: tuple[int, ...]) -> Iterator[Reader]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "out"))
        listener.listen()
        listener.settimeout(20)
        command = (sys.executable, "-c", CONNECTED, ",".join(map(str, numbers)))
        reader = SocketReader(listener, command)
        yield reader
        if reader.fd >= 0:
            os.close(reader.fd)


KINDS = {"pipe": a_pipe, "terminal": a_terminal, "socket": a_socket}


def ask_often(server: Server, name: str) -> None:
    for number in range(100):
        assert server.get(f"/{number}/{'x' * 500}", LONG, timeout=QUICK).status == 200, name


def check_stuck_log(
    name: str, kind: str, numbers: tuple[int, ...], tmp_path: Path, *args: str
) -> str:
    """Serve with a log that is stuck, then read, then stuck again; returns what was read."""
    files = {"app.py": ASGI if name == "uvicorn" else APP}
    with KINDS[kind](tmp_path, numbers) as reader:
        options = (*EVERY_CLASS[name], *args)
        command = reader.command
        with Server(
            "app:app", *options, cwd=tmp_path, files=files, command=command, wait=False
        ) as server:
            reader.begin()
            server.wait_ready()
            before = server.wait_workers(2 if name == "sync-siblings" else 1)
            ask_often(server, name)
            read = bytearray(reader.drain())

            def is_told() -> bool:
                assert server.get("/again", timeout=QUICK).status == 200
                read.extend(reader.drain())
                return b"/again" in read and (1 in numbers or b"were lost" in read)

            server.until(is_told, "a line, when there is a reader again")
            ask_often(server, name)
            assert server.workers() == before
            # With the log stuck, and more to be written to it.
            assert server.stop() == 0
        return read.decode(errors="replace")


@pytest.mark.parametrize("name", EVERY_CLASS)
def test_an_access_log_that_nobody_reads_delays_no_request(name: str, tmp_path: Path) -> None:
    flags = ("--access-logfile", "-", "--error-logfile", "e.log")
    check_stuck_log(name, "pipe", (1,), tmp_path, *flags)
    said = (tmp_path / "e.log").read_text()
    lost = re.findall(r"(\d+) lines of the log on standard output were lost: ", said)
    assert lost and sum(map(int, lost)) > 50
    assert "WORKER TIMEOUT" not in said


@pytest.mark.parametrize("name", EVERY_CLASS)
def test_an_error_log_that_nobody_reads_delays_no_request(name: str, tmp_path: Path) -> None:
    flags = ("--access-logfile", "-", "--log-level", "debug")
    read = check_stuck_log(name, "pipe", (1, 2), tmp_path, *flags)
    assert " lines of the log on standard output were lost: " in read


@pytest.mark.parametrize("kind", ["terminal", "socket"])
@pytest.mark.parametrize("name", ["sync-siblings", "gthread", "gevent"])
def test_terminals_and_sockets_that_nobody_reads(name: str, kind: str, tmp_path: Path) -> None:
    flags = ("--access-logfile", "-", "--log-level", "debug")
    check_stuck_log(name, kind, (1, 2), tmp_path, *flags)


def lines_of(syslog: socket.socket) -> Iterator[str]:
    with contextlib.suppress(BlockingIOError):
        while piece := syslog.recv(1 << 20):
            yield piece.decode()


@pytest.mark.parametrize("kind", ["dgram", "stream"])
@pytest.mark.parametrize("name", EVERY_CLASS)
def test_a_syslog_that_is_full_delays_no_request(name: str, kind: str, tmp_path: Path) -> None:
    files = {"app.py": ASGI if name == "uvicorn" else APP}
    type_of = socket.SOCK_DGRAM if kind == "dgram" else socket.SOCK_STREAM
    with socket.socket(socket.AF_UNIX, type_of) as syslog, contextlib.ExitStack() as closing:
        syslog.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        syslog.bind(str(tmp_path / "syslog"))
        flags = ("--log-syslog", "--log-syslog-to", f"unix://syslog#{kind}", *EVERY_CLASS[name])
        if kind == "stream":
            syslog.listen()
        with Server("app:app", *flags, cwd=tmp_path, files=files) as server:
            before = server.wait_workers(2 if name == "sync-siblings" else 1)
            for _ in range(3):
                ask_often(server, name)
            receiver = closing.enter_context(syslog.accept()[0]) if kind == "stream" else syslog
            receiver.setblocking(False)
            read = "".join(lines_of(receiver))
            assert "lines were lost" not in read

            def is_told() -> bool:
                nonlocal read
                assert server.get("/again", timeout=QUICK).status == 200
                read += "".join(lines_of(receiver))
                return bool(re.search(r"<12>.* \d+ lines were lost", read)) and "/again" in read

            server.until(is_told, "how many lines were lost")
            assert server.workers() == before
            ask_often(server, name)
            assert server.stop() == 0
    assert "WORKER TIMEOUT" not in server.log()


def record(message: str) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "INFO", "levelno": logging.INFO})


WAYS_TO_WRITE: dict[str, tuple[int, bool]] = {
    "by the kernel": (getattr(os, "RWF_NOWAIT", 0), True),
    "by another description": (0, True),
    "by a poll": (0, False),
}


@pytest.mark.parametrize("way", WAYS_TO_WRITE)
@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
def test_a_write_takes_what_there_is_room_for(
    kind: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowait, may_open = WAYS_TO_WRITE[way]
    monkeypatch.setattr(unwaiting, "_NOWAIT", nowait)
    if not may_open:

        def refuse(*_args: object) -> int:
            raise PermissionError(errno.EACCES, "not for this user")

        monkeypatch.setattr(os, "open", refuse)
    if kind == "pipe":
        reader, writer = os.pipe()
    elif kind == "socket":
        reader, writer = (each.detach() for each in socket.socketpair())
    else:
        reader, writer = pty.openpty()
        tty.setraw(writer)
    try:
        assert unwaiting.may_wait(writer)
        taken = 0
        with pytest.raises(BlockingIOError):
            while taken < 1 << 24:
                taken += unwaiting.write_now(writer, b"x" * 999 + b"\n")
        assert taken > 1000
        # Whoever else has the description open still waits, as was agreed upon with them.
        assert os.get_blocking(writer)
        assert len(os.read(reader, 1 << 20)) > 0
    finally:
        os.close(reader)
        os.close(writer)


def a_full_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(reader, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            unwaiting.write_now(writer, b"x")
    return reader, writer


def test_a_line_that_is_cut_ends_before_the_next_one_begins() -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 8192)
    with open(reader, "rb", buffering=0) as stream, open(writer, "w") as target:
        os.set_blocking(reader, False)
        handler = LineHandler(target=target)
        handler.write(b"a" * 9000 + b"\n")
        assert handler.lost == 1
        assert stream.read(1 << 20) == b"a" * 8192
        handler.write(b"the next\n")
        said = stream.read(1 << 20)
        assert said is not None and said.startswith(b"\nthe next\n")
        assert b"1 lines of the log on standard output were lost" in said


def test_a_reader_that_is_busy_is_waited_for_once_in_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = a_full_pipe()
    waits: list[float] = []

    def in_vain(_fd: int, seconds: float) -> bool:
        waits.append(seconds)
        return False

    monkeypatch.setattr(unwaiting, "_room_within", in_vain)
    with open(reader, "rb"), open(writer, "w") as target:
        handler = LineHandler(target=target)
        for _ in range(100):
            handler.emit(record("nobody reads"))
        assert handler.lost == 100
        assert waits == [unwaiting.MOMENT]


def test_a_file_that_takes_the_number_of_a_pipe_is_written_to(tmp_path: Path) -> None:
    reader, writer = a_full_pipe()
    with open(reader, "rb"), open(writer, "w") as target:
        handler = LineHandler(target=target)
        with open(tmp_path / "file", "w") as file:
            os.dup2(file.fileno(), writer)
        handler.emit(record("elsewhere"))
        handler.emit(record("and again"))
    assert (tmp_path / "file").read_text() == "elsewhere\nand again\n"


def test_what_was_lost_at_the_end_is_told() -> None:
    reader, writer = a_full_pipe()
    said: list[str] = []
    with open(reader, "rb"), open(writer, "w") as target:
        handler = LineHandler(target=target, report=said.append)
        handler.emit(record("nobody reads"))
        handler.close()
    assert len(said) == 1 and said[0].startswith("1 lines of the log on standard output were lost")


def test_a_message_that_cannot_be_made_does_not_wait_for_standard_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = a_full_pipe()
    with open(reader, "rb"), open(writer, "w") as target:
        monkeypatch.setattr(sys, "stderr", target)
        handler = LineHandler(os.devnull)
        handler.emit(logging.makeLogRecord({"msg": "%d items", "args": ("many",)}))
        handler.let_go()
        monkeypatch.undo()


def test_a_stream_to_syslog_is_never_cut_inside_a_message(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "syslog"))
        listener.listen()
        handler = open_syslog(f"unix://{tmp_path}/syslog#stream", "user")
        with listener.accept()[0] as receiver:
            receiver.setblocking(False)
            read = b""
            for number in range(300):
                handler.emit(record(f"{number} " + "x" * 3000))
                if number % 100 == 99:
                    assert handler.lost
                    read += b"".join(each.encode() for each in lines_of(receiver))
            handler.emit(record("the last"))
            read += b"".join(each.encode() for each in lines_of(receiver))
        handler.let_go()
    messages = read.split(b"\0")
    assert messages.pop() == b""
    whole = re.compile(rb"<14>(\d+ x{3000}|the last)|<12>\d+ lines were lost, .*")
    assert all(whole.fullmatch(message) for message in messages)
    assert any(message == b"<14>the last" for message in messages)


def test_a_syslog_that_takes_nothing_for_long_is_connected_to_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gunicorn.logs.syslog.STALLED", 0.0)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "syslog"))
        listener.listen()
        handler = open_syslog(f"unix://{tmp_path}/syslog#stream", "user")
        with listener.accept()[0]:
            while handler.lost < 2:
                handler.emit(record("x" * 3000))
            handler.emit(record("on the new connection"))
            with listener.accept()[0] as second:
                second.settimeout(10)
                assert second.recv(1 << 20).startswith(b"<14>on the new connection\0")
        handler.let_go()
