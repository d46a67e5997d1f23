"""What is bound for a name, and what is left of what could not be bound."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.servers import HELLO, Server, free_port

IPV6_FIRST = """\
import socket

resolve = socket.getaddrinfo

def getaddrinfo(host, port, *args, **kwargs):
    if host not in (b"both.test", "both.test"):
        return resolve(host, port, *args, **kwargs)
    return [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
    ]

socket.getaddrinfo = getaddrinfo
"""


def test_a_name_of_both_families_is_bound_for_ipv4(tmp_path: Path) -> None:
    """Whatever order the resolver gives: clients that speak IPv4 are the most."""
    port = free_port()
    with Server(
        "app:app", "-c", "conf.py", cwd=tmp_path, bind=f"both.test:{port}",
        address=("127.0.0.1", port), files={"app.py": HELLO, "conf.py": IPV6_FIRST},
    ) as server:  # fmt: skip
        server.wait_for(f"Listening at: http://127.0.0.1:{port} ")
        assert server.get("/").text == "hello"


@pytest.mark.parametrize("failure", ["itself", "another"])
def test_nothing_is_left_of_a_unix_socket_that_could_not_be_opened(
    tmp_path: Path, failure: str
) -> None:
    """The kernel makes the path before it can refuse to listen; and another address may fail."""
    path = tmp_path / "s.sock"
    options = ["--backlog", str(1 << 40)]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if failure == "another":
            options = ["--bind", f"127.0.0.1:{taken.getsockname()[1]}"]
        server = Server(
            "app:app", *options, cwd=tmp_path, bind=f"unix:{path}", files={"app.py": HELLO},
            wait=False,
        )  # fmt: skip
        try:
            assert server.wait() != 0
            assert not path.exists()
        finally:
            server.clean_up()
