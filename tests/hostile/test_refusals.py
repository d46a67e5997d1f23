"""Refusals reach clients that go on sending, and a slow client is not served a worker."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.measure import APP
from tests.integration.conftest import Serve
from tests.integration.wire import render, wire
from tests.servers import Server

MIB = 1 << 20
LIMITED = (
    "--limit-request-body", "1M", "--header-timeout", "1", "--body-timeout", "1",
    "--limit-request-field_size", "2000", "--keep-alive", "30",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("refusals")
    with Server("app:app", *LIMITED, cwd=folder, files={"app.py": APP}) as server:
        yield server


POST = "POST /upload HTTP/1.1\nHost: a\n"


@pytest.mark.parametrize(
    ("status", "begins", "goes_on"),
    [
        (413, render(f"{POST}Content-Length: {30 * MIB}"), bytes(30 * MIB)),
        (413, render(f"{POST}Transfer-Encoding: chunked"), b"1ffffff\r\n" + bytes(30 * MIB)),
        (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"x" * (30 * MIB)),
        (414, b"GET /", b"x" * (30 * MIB)),
        (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", b"x" * (30 * MIB)),
    ],
)
def test_who_is_still_sending_gets_the_answer(
    server: Server, status: int, begins: bytes, goes_on: bytes
) -> None:
    """The client sends all that it has, or as much as it can, before it reads."""
    with wire(server) as client:
        client.send(begins)
        try:
            client.send(goes_on)
        except OSError:
            raise AssertionError("the connection was cut in the middle of the request") from None
        answer = client.answer()
        assert (answer.status, answer.closes) == (status, True)
        assert client.closed()
    assert server.get("/").status == 200


@pytest.mark.parametrize("begins", [b"GET / HTTP/1.1\r\nX: ", render(f"{POST}Content-Length: 99")])
def test_who_is_too_slow_gets_the_answer(server: Server, begins: bytes) -> None:
    with wire(server) as client:
        client.send(begins)
        answer = client.answer()
        assert (answer.status, answer.closes) == (408, True)
        assert client.closed()


def test_a_body_that_trickles_below_the_rate(serve: Serve) -> None:
    """Each pause is short, but the whole would take for ever."""
    server = serve(APP, "--body-timeout", "1", "--min-body-rate", "1K")
    with wire(server) as client:
        client.send(render(f"{POST}Content-Length: 99999"))
        stop = threading.Event()

        def trickle() -> None:
            while not stop.wait(0.2):
                client.send(b"x")

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            assert client.answer().status == 408
        finally:
            stop.set()
            thread.join()


STREAMED = """\
def app(environ, start_response):
    try:
        size = len(environ["wsgi.input"].read())
    except TimeoutError as error:
        print("raised", type(error).__name__, flush=True)
        raise
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % size]
"""


@pytest.mark.parametrize("trickles", [False, True])
def test_a_body_that_is_streamed_has_the_same_bounds(serve: Serve, trickles: bool) -> None:
    """Silence and a low rate raise an error in the application, which the client sees as 408."""
    server = serve(
        STREAMED, "--body-timeout", "1", "--min-body-rate", "100K", "--request-buffer-size", "64K",
        "--request-spool-size", "0",
    )  # fmt: skip
    with wire(server) as client:
        client.send(render(f"{POST}Content-Length: 9999999") + bytes(64 * 1024))
        deadline = time.monotonic() + 10
        while trickles and time.monotonic() < deadline and "raised" not in server.log():
            client.send(b"x")
            time.sleep(0.1)
        assert client.answer().status == 408
    server.wait_for("raised BodyTimeout")


def test_a_slow_upload_does_not_occupy_the_worker(serve: Serve, tmp_path: Path) -> None:
    """A large body waits for its end in a file, and reaches the application whole."""
    (tmp_path / "uploads").mkdir()
    conf = f"tmp_upload_dir = {str(tmp_path / 'uploads')!r}\n"
    server = serve(APP, "-c", "conf.py", files={"conf.py": conf})
    with wire(server) as slow:
        slow.send(render(f"{POST}Content-Length: {5 * MIB}"))
        for _ in range(9):
            slow.send(bytes(MIB // 2))
            assert server.get("/", timeout=5).status == 200
        server.until(lambda: in_folder(server, tmp_path / "uploads"), "a file")
        slow.send(bytes(MIB // 2))
        assert slow.answer().body == b"%d" % (5 * MIB)
        assert slow.get("/fast").status == 200


HUGE = """\
import os

def blocks():
    for number in range(640):
        yield number.to_bytes(2, "big") * 32768
    print("produced", flush=True)

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return blocks() if environ["PATH_INFO"] == "/huge" else [b"here"]
"""
SIZE = 640 * 65536


@pytest.mark.parametrize("options", [(), ("--no-sendfile",)])
def test_a_slow_download_does_not_occupy_the_worker(
    serve: Serve, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """A response that nobody reads is produced to its end, and waits in a file."""
    (tmp_path / "spool").mkdir()
    server = serve(
        HUGE, "--worker-tmp-dir", str(tmp_path / "spool"), "--keep-alive", "30", *options
    )  # fmt: skip
    before = resident(server)
    with wire(server) as slow:
        slow.send(render("GET /huge HTTP/1.1\nHost: a"))
        server.wait_for("produced")
        assert server.get("/").status == 200
        assert in_folder(server, tmp_path / "spool")
        assert resident(server) - before < 12 * MIB
        body = slow.answer().body
        assert len(body) == SIZE
        starts = [body[65536 * number : 65536 * number + 2] for number in range(640)]
        assert starts == [number.to_bytes(2, "big") for number in range(640)]
        assert slow.get().body == b"here"
    server.until(lambda: not in_folder(server, tmp_path / "spool"), "the end of the file")
    assert not list((tmp_path / "spool").iterdir())


def test_a_response_beyond_every_bound_waits_for_its_client(serve: Serve) -> None:
    server = serve(HUGE, "--response-spool-size", "4M", "--response-buffer-size", "512K")
    with wire(server) as slow:
        slow.send(render("GET /huge HTTP/1.1\nHost: a"))
        slow.head()
        time.sleep(0.5)
        assert "produced" not in server.log()
        assert len(slow.chunks()) == SIZE
    server.wait_for("produced")


def test_a_large_piece_moves_to_a_file_in_the_end(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    app = 'def app(e, s):\n    s("200 OK", [])\n    return [bytes(20 << 20)]\n'
    server = serve(app, "--worker-tmp-dir", str(tmp_path / "spool"))
    before = resident(server)
    with wire(server) as slow:
        slow.send(render("GET / HTTP/1.1\nHost: a"))
        slow.head()
        server.until(lambda: in_folder(server, tmp_path / "spool"), "a file")
        server.until(lambda: resident(server) - before < 10 * MIB, "less memory")
        assert len(slow.exactly(20 << 20)) == 20 << 20


def resident(server: Server) -> int:
    (worker,) = server.wait_workers(1)
    return int(Path(f"/proc/{worker}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def in_folder(server: Server, folder: Path) -> bool:
    """Whether a worker has a file below `folder` open."""
    (worker,) = server.wait_workers(1)
    for name in os.listdir(f"/proc/{worker}/fd"):
        try:
            if os.readlink(f"/proc/{worker}/fd/{name}").startswith(str(folder)):
                return True
        except FileNotFoundError:
            continue
    return False
