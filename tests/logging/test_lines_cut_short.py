"""A line that the disk had room for in part does not run into the next."""

from __future__ import annotations

import resource
from pathlib import Path

from gunicorn.logs.handlers import LineHandler
from tests.integration.conftest import Serve, serve
from tests.servers import HELLO

__all__ = ["serve"]


def test_the_next_line_begins_where_lines_begin(serve: Serve) -> None:
    """The disk is full in the middle of a line, and later it is not: a quota, say."""
    server = serve(HELLO, "--access-logfile", "access.log", "--access-logformat", "%(U)s %(s)s")
    log = server.cwd / "access.log"
    (worker,) = server.wait_workers(1)
    assert server.get("/first").status == 200
    server.until(lambda: log.read_text() == "/first 200\n", "the first line")
    _, hard = limits = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    size = len("/first 200\n") + 5
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, hard))
    for path in ("/second", "/third", "/fourth"):
        assert server.get(path).status == 200
    server.until(lambda: log.stat().st_size == size, "a line that is cut")
    resource.prlimit(worker, resource.RLIMIT_FSIZE, limits)
    assert server.get("/fifth").status == 200
    server.until(lambda: log.read_text().endswith("/fifth 200\n"), "a line after that")
    assert "/fifth 200" in log.read_text().splitlines()


def test_lines_of_several_processes_stand_one_behind_the_other(tmp_path: Path) -> None:
    """Each has a descriptor of its own, as after a reload."""
    handlers = [LineHandler(str(tmp_path / "x.log")) for _ in range(2)]
    for number in range(4):
        handlers[number % 2].write(b"%d\n" % number)
    for handler in handlers:
        handler.close()
    assert (tmp_path / "x.log").read_text() == "0\n1\n2\n3\n"
