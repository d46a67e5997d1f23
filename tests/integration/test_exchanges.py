"""The two implementations of the hot path, live: same application, same requests, same bytes.

A server is started by each, in several configurations. What a client receives, to the end of its
connection, and what is written to the logs has to be equal but for times and numbers of processes.
Without the compiled modules there is nothing to compare: see tests/test_compiled.py.
"""

from __future__ import annotations

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


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    servers: Pair = {}
    source = (HERE / "exchange_app.py").read_text()
    try:
        for parser in ("fast", "python"):
            servers[parser] = Server(
                "app:app", "--http-parser", parser, "--log-level", "debug",
                cwd=tmp_path_factory.mktemp(parser),
                files={"app.py": source, "gunicorn.conf.py": CONFIGURATIONS[request.param]},
            )  # fmt: skip
        for server in servers.values():
            assert server.get("/hello").body == b"hello"
        yield servers
        for server in servers.values():
            assert server.stop() == 0
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


@pytest.mark.parametrize("head", HEADS)
def test_every_page(pair: Pair, head: str) -> None:
    if head not in HEADS[:2] and (pair["python"].cwd / "gunicorn.conf.py").read_text():
        # What comes of these heads has nothing to do with the configuration.
        return
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


def test_their_logs_are_one(pair: Pair) -> None:
    """The last of this file for each pair: everything that the tests before it left there."""
    for name in ("access.log", "server.log"):
        logs = []
        for server in pair.values():
            path = Path(server.cwd, name)
            if name == "access.log" and not path.exists():
                continue
            logs.append(plain_lines(path.read_text("utf-8", "replace"), server))
        assert all(len(lines) > 100 for lines in logs)
        for one, other in zip(*logs, strict=True) if logs else ():
            assert one == other


def plain_lines(text: str, server: Server) -> list[str]:
    """The lines since the start, without times, processes, ports, and the server's own frames."""
    text = re.sub(r'  File "[^"]*gunicorn/(?:.*\n)(?:    .*\n)*', "", text)
    text = text.replace(str(server.cwd), "CWD").replace(str(server.port), "PORT")
    text = re.sub(r"\[[0-9-]+ [0-9:]+ [+-]\d+\] \[\d+\]", "", text)
    text = re.sub(r"\('127\.0\.0\.1', \d+\)", "CLIENT", text)
    text = re.sub(r"0x[0-9a-f]+", "ADDRESS", text)
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if "Booting worker" in line]
    return lines[starts[-1] + 1 :] if starts else lines
