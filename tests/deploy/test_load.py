"""A hundred connections of wrk and ab, and not one failed request, kept alive or not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.places import program
from tests.servers import HELLO, Server

CONNECTIONS = 100
REQUESTS = 5_000


def run(name: str, *arguments: str) -> str:
    executable = program(name)
    assert executable, f"{name} is needed: apt-get install wrk apache2-utils"
    done = subprocess.run(
        [executable, *arguments], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=["0", "60"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Server:
    flags = ("--workers", "2", "--keep-alive", request.param)
    return Server("app:app", *flags, cwd=tmp_path, files={"app.py": HELLO})


def test_wrk(server: Server) -> None:
    with server:
        said = run("wrk", "-t1", f"-c{CONNECTIONS}", "-d2", f"{server.url}/")
        assert re.search(r"[1-9]\d* requests in", said), said
        assert "Non-2xx" not in said
        assert "Socket errors" not in said
        assert len(server.wait_workers(2)) == 2
    assert "ERROR" not in server.log()


@pytest.mark.parametrize("keep", [True, False])
def test_ab(server: Server, keep: bool) -> None:
    with server:
        flags = ["-k"] if keep else []
        said = run("ab", "-q", *flags, f"-c{CONNECTIONS}", f"-n{REQUESTS}", f"{server.url}/")
        assert re.search(rf"Complete requests: +{REQUESTS}\n", said), said
        assert re.search(r"Failed requests: +0\n", said), said
        assert "Non-2xx" not in said
    assert "ERROR" not in server.log()
