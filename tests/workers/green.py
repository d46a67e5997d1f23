"""What the workers on green threads have in common, as tests that both classes run."""

from __future__ import annotations

import hashlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.certificates import Certificate
from tests.integration.wire import chunked, render, wire
from tests.servers import Server, until

APP = """\
import hashlib, importlib, os, select, socket, subprocess, sys, threading, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/sleep":
        time.sleep(float(environ["QUERY_STRING"]))
    elif path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return stream()
    elif path == "/large":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * 5_000_000]
    elif path == "/file":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](open("big.bin", "rb"))
    elif path == "/upload":
        body = environ["wsgi.input"].read()
        return answer(start_response, hashlib.sha256(body).hexdigest())
    elif path == "/fails":
        raise RuntimeError("of the application")
    elif path == "/peek":
        sock = environ["gunicorn.socket"]
        ready = select.select([sock], [], [], 0)[0]
        return answer(start_response, f"{bool(ready)} {sock.getpeername()[0]}")
    elif path == "/raw":
        sock = environ["gunicorn.socket"]
        assert isinstance(sock, socket.socket)
        first = sock.recv(5)
        sock.send(b"raw:" + first + b"y" * 3_000_000)
        with sock.makefile("rb") as file:
            sock.sendall(b"line:" + file.readline())
        return []
    elif path == "/program":
        program = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True)
        return answer(start_response, program.stdout.decode().strip())
    elif path == "/thread":
        found = []
        thread = threading.Thread(target=lambda: (time.sleep(0.01), found.append("ran")))
        thread.start()
        thread.join()
        return answer(start_response, found[0])
    elif path == "/timer":
        timer = importlib.import_module(environ["QUERY_STRING"]).Timeout(0.1)
        if not timer.pending:
            timer.start()
    elif path == "/ident":
        return answer(start_response, str(threading.get_ident()))
    return answer(start_response, f"{os.getpid()} {environ['wsgi.multithread']}")

def answer(start_response, text):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]

def stream():
    for number in range(3):
        yield f"{number}\\n".encode()
        time.sleep(0.05)
"""

SOCK = """\
from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)

@sock.route("/echo")
def echo(ws):
    while True:
        ws.send(ws.receive())

@sock.route("/once")
def once(ws):
    ws.send("bye")

@app.get("/")
def index():
    return "hello"
"""

CONTENT = bytes(range(256)) * 8192


class GreenTests:
    """Subclasses name the worker class; `options` come on top for every server."""

    worker_class: str
    options: tuple[str, ...] = ()

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
        with cls.start(tmp_path_factory.mktemp("green")) as server:
            yield server

    @classmethod
    def start(cls, folder: Path, *args: str, source: str = APP) -> Server:
        (folder / "big.bin").write_bytes(CONTENT)
        return Server(
            "app:app", "-k", cls.worker_class, *cls.options, *args,
            cwd=folder, files={"app.py": source},
        )  # fmt: skip

    # HTTP

    def test_requests_on_a_kept_connection(self, server: Server) -> None:
        with wire(server) as client:
            first, second = client.get(), client.get()
        assert first.body == second.body
        assert first.body.endswith(b" True"), "wsgi.multithread"
        assert not second.closes

    def test_pipelined_requests(self, server: Server) -> None:
        with wire(server) as client:
            client.send(render("GET /stream HTTP/1.1\nHost: a") + render("GET / HTTP/1.1\nHost: a"))
            assert client.answer().body == b"0\n1\n2\n"
            assert client.answer().status == 200

    @pytest.mark.parametrize("body", [b"", b"short", b"z" * 3_000_000], ids=len)
    def test_uploads(self, server: Server, body: bytes) -> None:
        expected = hashlib.sha256(body).hexdigest().encode()
        with wire(server) as client:
            post = "POST /upload HTTP/1.1\nHost: a\n"
            assert client.ask(f"{post}Content-Length: {len(body)}", body).body == expected
            pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
            assert client.ask(f"{post}Transfer-Encoding: chunked", chunked(pieces)).body == expected

    def test_a_client_that_waits_for_100_continue(self, server: Server) -> None:
        with wire(server) as client:
            client.send(
                render("POST /upload HTTP/1.1\nHost: a\nContent-Length: 3\nExpect: 100-continue")
            )
            assert client.head().status == 100
            client.send(b"abc")
            assert client.answer().body == hashlib.sha256(b"abc").hexdigest().encode()

    @pytest.mark.parametrize("path", ["/file", "/large"])
    def test_a_reader_that_pauses(self, server: Server, path: str) -> None:
        with wire(server) as client:
            client.send(render(f"GET {path} HTTP/1.1\nHost: a"))
            assert server.get("/").status == 200, "others go on"
            assert client.answer().body == (CONTENT if path == "/file" else b"x" * 5_000_000)
            assert client.get().status == 200, "the connection is kept"

    def test_slow_clients_keep_nobody_waiting(self, server: Server) -> None:
        clients = [wire(server) for _ in range(50)]
        try:
            for client in clients:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
            assert server.get("/").status == 200
            for client in clients:
                client.send(b"1\r\n\r\n")
            assert {client.answer().status for client in clients} == {200}
        finally:
            for client in clients:
                client.close()

    def test_refusals(self, server: Server) -> None:
        assert server.raw(b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert server.raw(b"nonsense\r\n\r\n" + b"x" * 100_000).startswith(b"HTTP/1.1 400 ")

    def test_an_application_that_fails(self, server: Server) -> None:
        assert server.get("/fails").status == 500
        server.wait_for("RuntimeError: of the application")

    def test_threads_and_programs_of_the_application(self, server: Server) -> None:
        assert server.get("/thread").body == b"ran"
        assert server.get("/program").body == b"42"

    def test_one_green_thread_serves_many_clients(self, server: Server) -> None:
        assert len({server.get("/ident").text for _ in range(5)}) <= 2

    def test_a_timer_that_an_application_forgot(self, tmp_path: Path) -> None:
        """It goes off in a green thread that waits for its next client, or has one."""
        with self.start(tmp_path) as server:
            assert server.get(f"/timer?{self.worker_class}").status == 200
            server.wait_for("Error after a request, in its green thread")
            for _ in range(3):
                assert server.get("/").status == 200
            assert server.stop() == 0
            assert server.log().count("Traceback") == 1

    def test_requests_run_at_the_same_time(self, tmp_path: Path) -> None:
        with self.start(tmp_path, "--worker-connections", "2000") as server:
            assert server.get("/").status == 200
            started = time.monotonic()
            sleepers = [server.connect() for _ in range(1000)]
            for sleeper in sleepers:
                sleeper.sendall(b"GET /sleep?1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answers = [sleeper.recv(100) for sleeper in sleepers]
            lasted = time.monotonic() - started
            for sleeper in sleepers:
                sleeper.close()
            assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers)
            assert lasted < self.all_asleep_within

    all_asleep_within = 3.0
    """Seconds for a thousand requests that sleep for one."""

    def test_tls(self, tmp_path: Path, certificate: Certificate) -> None:
        with self.start(tmp_path, *certificate.args) as server:
            server.tls = certificate.client()
            with server.connect(handshake=False):  # which says nothing at all
                with wire(server) as client:
                    assert client.get("/file").body == CONTENT
                    assert client.get("/large").body == b"x" * 5_000_000
                assert server.get("/").status == 200

    def test_unix_sockets(self, tmp_path: Path) -> None:
        server = Server(
            "app:app", "-k", self.worker_class, bind=f"unix:{tmp_path}/s", cwd=tmp_path,
            files={"app.py": APP},
        )  # fmt: skip
        with server:
            assert server.get("/stream").body == b"0\n1\n2\n"

    # The life of the worker

    def test_patched_before_the_application_is_imported(self, tmp_path: Path) -> None:
        self.check_patching(tmp_path)

    def test_patched_before_the_application_is_preloaded(self, tmp_path: Path) -> None:
        self.check_patching(tmp_path, "--preload")

    def check_patching(self, folder: Path, *args: str) -> None:
        source = "import socket\nfrom time import sleep\n" + APP.replace(
            'if path == "/sleep"', 'if path == "/patched":\n'
            '        return answer(start_response, f"{BASE.__module__} {sleep.__module__}")\n'
            '    elif path == "/sleep"',
        ) + "\nBASE = socket.socket\n"  # fmt: skip
        with self.start(folder, *args, source=source) as server:
            assert server.get("/patched").text.count(self.worker_class) == 2
            assert server.get("/program").body == b"42"
            server.never_says("Warning")

    def test_a_graceful_stop_finishes_requests(self, tmp_path: Path) -> None:
        with self.start(tmp_path) as server:
            with wire(server) as busy, wire(server) as idle, wire(server) as late:
                assert idle.get().status == 200
                busy.send(render("GET /sleep?1 HTTP/1.1\nHost: a"))
                until(lambda: server.get("/").status == 200)
                server.send_signal(signal.SIGTERM)
                server.wait_for("Handling signal: term")
                late.send(render("GET / HTTP/1.1\nHost: a"))
                answer = late.answer()
                assert answer.status == 200
                assert answer.closes
                assert busy.answer().status == 200
                assert idle.closed()
            assert server.wait() == 0

    def test_a_graceful_stop_has_an_end(self, tmp_path: Path) -> None:
        with self.start(tmp_path, "--graceful-timeout", "1") as server:
            with wire(server) as busy:
                busy.send(render("GET /sleep?60 HTTP/1.1\nHost: a"))
                until(lambda: server.get("/").status == 200)
                server.send_signal(signal.SIGTERM)
                assert busy.closed()
            assert server.wait() == 0

    def test_a_quick_stop(self, tmp_path: Path) -> None:
        with self.start(tmp_path) as server, wire(server) as busy:
            busy.send(render("GET /sleep?60 HTTP/1.1\nHost: a"))
            until(lambda: server.get("/").status == 200)
            assert server.stop(signal.SIGQUIT) == 0

    def test_max_requests(self, tmp_path: Path) -> None:
        with self.start(tmp_path, "--max-requests", "20") as server:
            first = server.get("/").body
            until(lambda: server.get("/").body != first, "another worker")
            server.wait_for("Autorestarting worker after current request.")

    # Applications that take the socket over

    def test_asking_the_socket_does_not_take_it(self, server: Server) -> None:
        with wire(server) as client:
            assert client.get("/peek").body == b"False 127.0.0.1"
            assert client.get("/").status == 200

    def test_taking_the_socket_over(self, server: Server) -> None:
        with wire(server) as client:
            # The first bytes of the other protocol come with the head of the request.
            client.send(render("GET /raw HTTP/1.1\nHost: a") + b"12345")
            assert client.exactly(9 + 3_000_000) == b"raw:12345" + b"y" * 3_000_000
            client.send(b"a line\n")
            assert client.rest() == b"line:a line\n"
        assert server.get("/").status == 200

    @pytest.fixture(scope="class")
    @classmethod
    def websockets(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
        folder = tmp_path_factory.mktemp("websockets")
        with cls.start(folder, "--timeout", "2", source=SOCK) as server:
            yield server

    def test_websockets(self, websockets: Server) -> None:
        address = f"ws://127.0.0.1:{websockets.port}"
        with connect(f"{address}/echo", max_size=None) as one, connect(f"{address}/echo") as two:
            for message in ("text", b"bytes", "x" * 3_000_000):
                one.send(message)
                assert one.recv(timeout=10) == message
            two.send("other")
            assert two.recv(timeout=10) == "other"
            assert websockets.get("/").body == b"hello"
        with connect(f"{address}/once") as once:
            assert once.recv(timeout=10) == "bye"
            with pytest.raises(ConnectionClosed) as caught:
                once.recv(timeout=10)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1000
        websockets.never_says("Error")

    def test_websockets_end_at_a_graceful_stop(self, tmp_path: Path) -> None:
        with self.start(tmp_path, source=SOCK) as server:
            with connect(f"ws://127.0.0.1:{server.port}/echo") as client:
                client.send("here")
                assert client.recv(timeout=10) == "here"
                server.send_signal(signal.SIGTERM)
                with pytest.raises(ConnectionClosed) as caught:
                    client.recv(timeout=10)
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == 1001, "going away"
            assert server.wait() == 0
