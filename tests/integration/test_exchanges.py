"""The two implementations of the hot path, live: same application, same requests, same bytes.

A server is started by each, in several configurations. What a client receives, to the end of its
connection, and what is written to the logs has to be equal but for times and numbers of processes.
The logs are compared when both have ended.
Without the compiled modules there is nothing to compare: see tests/test_compiled.py.
"""

from __future__ import annotations

import itertools
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http import corpus
from tests.integration import exchange_app
from tests.integration.wire import chunked, wire
from tests.servers import Server, read_all

HERE = Path(__file__).parent

CONFIGURATIONS = {
    "plain": "",
    "logs": """\
accesslog = "access.log"
access_log_format = "%(h)s %(r)s %(s)s %(b)s %(f)s %({x}o)s %({connection}o)s"
""",
    "hooks": """\
def pre_request(worker, req):
    worker.log.info("before %s", req.uri)

def post_request(worker, req, environ, resp):
    worker.log.info("after %s %s %s %s", req.uri, resp.status, resp.headers_sent, resp.sent)
""",
    "no keepalive": "keepalive = 0\n",
}

HELLO = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
HEADS = [
    "GET {} HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD {} HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET {} HTTP/1.0\r\n\r\n",
    "GET {} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
]
POST = b"POST /%b HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n%b"
SPECIAL = [
    HELLO * 3,
    HELLO + b"HEAD /no_length HTTP/1.1\r\nHost: a\r\n\r\n" + HELLO,
    HELLO + b"GET /cut_after_some HTTP/1.1\r\nHost: a\r\n\r\n" + HELLO,
    POST % (b"echo", b"Content-Length: 5", b"hello"),
    POST % (b"echo", b"Content-Length: 5", b"hello") + HELLO,
    POST % (b"echo", b"Content-Length: 0", b""),
    POST % (b"echo", b"Content-Length: 5", b"he"),
    POST % (b"echo", b"Transfer-Encoding: chunked", chunked([b"he", b"llo"])) + HELLO,
    POST % (b"hello", b"Content-Length: 5", b"hello") + HELLO,
    POST % (b"hello", b"Transfer-Encoding: chunked", b"x\r\n") + HELLO,
    POST % (b"echo", b"Content-Length: 5\r\nExpect: 100-continue", b"hello"),
    POST % (b"dump", b"Content-Length: 300000", b"x" * 300_000),
    POST % (b"raises", b"Content-Length: 5", b"hello") + HELLO,
    HELLO + b"GET / HTTP/3.0\r\n\r\n",
    b"\r\n" + HELLO,
    b"GET /%C3%A9/a%zz?b=%20 HTTP/1.1\r\nHost: h:81\r\nAccept:  x \r\nCookie: a=b\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://b/dump?q HTTP/1.1\r\nHost: a\r\n\r\n",
]


Pair = dict[str, Server]


@pytest.fixture(params=CONFIGURATIONS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    servers: Pair = {}
    source = (HERE / "exchange_app.py").read_text()
    try:
        for parser in ("fast", "python"):
            folder = tmp_path / parser
            folder.mkdir()
            servers[parser] = Server(
                "app:app", "--http-parser", parser, "--log-level", "debug", cwd=folder,
                files={"app.py": source, "gunicorn.conf.py": CONFIGURATIONS[request.param]},
            )  # fmt: skip
        for server in servers.values():
            assert server.get("/hello").body == b"hello"
        yield servers
        for server in servers.values():
            assert server.stop() == 0
        assert_that_their_logs_are_one(servers)
    finally:
        for server in servers.values():
            server.clean_up()


def exchange(server: Server, data: bytes, *, used: bool) -> bytes:
    """All that comes for `data`, on a new connection or on one that has been used."""
    with wire(server) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if used:
            client.send(HELLO)
            assert client.answer().body == b"hello"
        client.send(data)
        client.sock.shutdown(socket.SHUT_WR)
        return normal(read_all(client.sock))


def normal(received: bytes) -> bytes:
    return re.sub(rb"Date: \w{3}, [^\r]* GMT\r\n", b"Date: now\r\n", received)


def compare(servers: Pair, data: bytes, *, used: bool) -> None:
    one, other = (exchange(server, data, used=used) for server in servers.values())
    assert one == other, data


def keeps(servers: Pair) -> bool:
    """Whether their connections can be used again."""
    configurations = [Path(each.cwd, "gunicorn.conf.py").read_text() for each in servers.values()]
    return all("keepalive = 0" not in each for each in configurations)


def test_every_page(pair: Pair) -> None:
    configured = (pair["python"].cwd / "gunicorn.conf.py").read_text()
    # What comes of the other heads has nothing to do with the configuration.
    for head in HEADS[:2] if configured else HEADS:
        for path in exchange_app.PAGES:
            if path.startswith("/cut") and "HTTP/1.0" in head:
                # These end in a reset, and what came before it may be lost on the way.
                continue
            for used in (False, True)[: 1 + keeps(pair)]:
                compare(pair, head.format(path).encode(), used=used)


def test_special_requests(pair: Pair) -> None:
    for data in SPECIAL:
        for used in (False, True)[: 1 + keeps(pair)]:
            compare(pair, data, used=used)


def test_requests_of_the_corpus(pair: Pair) -> None:
    for case in corpus.load():
        if not case.settings:
            compare(pair, case.data, used=False)


def assert_that_their_logs_are_one(servers: Pair) -> None:
    """Compare what was written until the end: some lines come after the response has left."""
    for name in ("access.log", "server.log"):
        paths = [Path(server.cwd, name) for server in servers.values()]
        if name == "access.log" and not any(path.exists() for path in paths):
            continue
        one, other = (
            plain_lines(path.read_text("utf-8", "replace"), server)
            for path, server in zip(paths, servers.values(), strict=True)
        )
        assert len(one) > 10, name
        for line, twin in itertools.zip_longest(one, other):
            assert line == twin, name


def plain_lines(text: str, server: Server) -> list[str]:
    """The lines since the start, without times, processes, ports, and the server's own frames."""
    text = re.sub(r'  File "[^"]*gunicorn/(?:.*\n)(?:    .*\n)*', "", text)
    text = text.replace(str(server.cwd), "CWD").replace(str(server.port), "PORT")
    text = re.sub(r"\[[0-9-]+ [0-9:]+ [+-]\d+\] \[\d+\]", "", text)
    text = re.sub(r"\(pid: ?\d+\)", "PID", text)
    text = re.sub(r"\('127\.0\.0\.1', \d+\)", "CLIENT", text)
    text = re.sub(r"0x[0-9a-f]+", "ADDRESS", text)
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if "Booting worker" in line]
    return lines[starts[-1] + 1 :] if starts else lines
