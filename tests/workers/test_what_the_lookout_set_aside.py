"""What cannot go to a sibling while a call lasts goes on where it was when the call is over."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.servers import Server
from tests.workers.test_balance import on_one_worker

SIZE = 12 << 20

APP = f"""\
import os
import time
from pathlib import Path

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/large":
        body = bytes({SIZE})
    else:
        if path.startswith("/lasts/"):
            Path("lasting-" + path[7:]).touch()
            time.sleep(2)
        body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.parametrize("options", [(), ("--threads", "2")], ids=["sync", "gthread"])
def test_a_response_that_could_go_on_meanwhile(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Its client begins to read in the middle of somebody else's call."""
    arguments = ("--workers", "2", "--keep-alive", "30", "--response-buffer-size", "16M", *options)
    with Server("app:app", *arguments, cwd=tmp_path, files={"app.py": APP}) as server:
        server.wait_workers(2)
        for number in range(5):
            reader, *busy = on_one_worker(server, 3 if options else 2)
            home = busy[0].ask()[0]
            reader.send("/large")
            head = reader.sock.recv(10)
            # For the worker to be done with it: who comes before that may go to the sibling.
            time.sleep(0.3)
            for each in busy:
                each.send(f"/lasts/{number}")
            server.until((tmp_path / f"lasting-{number}").exists, "the call")
            # For the lookout, which looks every 10 ms.
            time.sleep(0.2)
            received = len(head)
            while received < SIZE:
                received += len(reader.sock.recv(1 << 20))
            if all(each.answer()[0] == home for each in busy):
                return
        raise AssertionError("never a call on the worker of the response")
