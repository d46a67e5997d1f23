"""INT in the middle of a graceful end: the operator does not want to wait any longer."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

from tests.arbiter.conftest import Serve

HANGS = """\
import time

def app(environ, start_response):
    open("called", "w").close()
    time.sleep(100)
"""


def test_what_is_in_progress_is_cut_short(serve: Serve, tmp_path: Path) -> None:
    server = serve("--graceful-timeout", "50", files={"app.py": HANGS})
    threading.Thread(target=server.raw, args=(b"GET / HTTP/1.1\r\n\r\n",), daemon=True).start()
    server.until((tmp_path / "called").exists, "the application")
    server.send_signal(signal.SIGTERM)
    server.wait_for("Handling signal: term")
    # What follows at once counts as an echo.
    time.sleep(0.8)
    server.send_signal(signal.SIGINT)
    assert server.wait(30) == 0
