"""Every kind of address that a server can be bound to."""

from __future__ import annotations

import signal
import socket
import stat
import sys
from pathlib import Path

from tests.integration.conftest import Serve
from tests.integration.wire import Wire, wire
from tests.servers import free_port

APP = """\
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = ("SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "wsgi.url_scheme", "PATH_INFO")
    return [" ".join([str(os.getpid()), *(repr(environ[name]) for name in names)]).encode()]
"""


def test_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    server = serve(APP, "--umask", "007", "--access-logfile", "-", bind=f"unix:{path}")
    server.wait_for(rf"Listening at: unix:{path} ")
    assert stat.S_IMODE(path.stat().st_mode) == 0o770
    with wire(server) as client:
        first = client.get("/a", "X-Forwarded-Proto: https").body.decode().split()
        assert first[1:] == ["'a'", "'443'", "''", "'https'", "'/a'"]
        assert client.ask("GET /b HTTP/1.1\nHost: name:81").body.split()[1:3] == [
            b"'name'",
            b"'81'",
        ]
    server.wait_for(r'^- - - \[.*\] "GET /b HTTP/1.1" 200 ')
    assert server.stop() == 0
    assert not path.exists()


def test_several_addresses_at_once(serve: Serve, tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    path = str(tmp_path / "s")
    server = serve(
        APP, "-b", f"127.0.0.1:{ports[0]}", "-b", f"127.0.0.1:{ports[1]}", "-b", f"unix:{path}",
        bind="", address=("127.0.0.1", ports[0]),
    )  # fmt: skip
    for address in (("127.0.0.1", ports[0]), ("127.0.0.1", ports[1]), path):
        server.address = address
        answer = server.get("/").text.split()
        if isinstance(address, tuple):
            assert answer[2] == repr(str(address[1]))
    text = f"http://127.0.0.1:{ports[0]},http://127.0.0.1:{ports[1]},unix:{path}"
    assert f"Listening at: {text} ({server.pid})" in server.log()


def test_ipv6(serve: Serve) -> None:
    server = serve(APP, bind=f"[::1]:{free_port('::1')}")
    with socket.create_connection(("::1", server.port), 10) as sock, Wire(sock) as client:
        answer = client.get().body.decode().split()
    assert answer[1:4] == ["'::1'", repr(str(server.port)), "'::1'"]
    server.wait_for(rf"Listening at: http://\[::1\]:{server.port} ")


def test_reuse_port(serve: Serve) -> None:
    """Two servers share an address, and one goes on when the other ends."""
    first = serve(APP, "--reuse-port")
    second = serve(None, "--reuse-port", bind=first.bind)
    second.wait_workers(1)

    def servers() -> set[int]:
        return {int(first.get("/").text.split()[0]) for _ in range(40)}

    assert servers() == {*first.workers(), *second.workers()}
    assert first.stop() == 0
    assert servers() == set(second.workers())


LAUNCHER = """\
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(listener.fileno(), 9)
os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *sys.argv[2:]])
"""


def test_an_inherited_descriptor(serve: Serve) -> None:
    port = free_port()
    server = serve(
        APP, bind="fd://9", address=("127.0.0.1", port), files={"launch.py": LAUNCHER},
        command=(sys.executable, "launch.py", str(port)),
    )  # fmt: skip
    server.wait_workers(1)
    assert server.get("/").text.split()[2] == repr(str(port))
    server.send_signal(signal.SIGHUP)
    server.wait_for("Reload done")
    assert server.get("/").status == 200
