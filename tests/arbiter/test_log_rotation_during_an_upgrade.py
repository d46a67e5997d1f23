"""USR1 in the middle of USR2: who rotates logs signals every process of the name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.arbiter.conftest import Serve

IN_THE_HOOK = """\
import os
import time

def pre_exec(server):
    open("here", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.02)
"""

BEHIND_IT = """\
import os
import time

if "GUNICORN_PID" in os.environ:
    open("here", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.02)
"""


@pytest.mark.parametrize("conf", [IN_THE_HOOK, BEHIND_IT], ids=["pre_exec", "configuration"])
def test_the_new_arbiter_survives_before_it_can_reopen_anything(
    serve: Serve, tmp_path: Path, conf: str
) -> None:
    """Neither before the new program is executed, nor while it reads its configuration."""
    server = serve("--pid", "p", "-c", "conf.py", files={"conf.py": conf})
    server.wait_serving(2)
    server.send_signal(signal.SIGUSR2)
    server.until((tmp_path / "here").exists, "the new arbiter")
    new = int(server.wait_for(r"Started a new master \(pid: (\d+)\)")[1])
    os.kill(new, signal.SIGUSR1)
    server.send_signal(signal.SIGUSR1)
    server.wait_for("Handling signal: usr1")
    (tmp_path / "go").touch()
    server.until((tmp_path / "p.2").exists, "the new arbiter's pidfile")
    assert int((tmp_path / "p.2").read_text()) == new
    server.wait_workers(2, pid=new)
    os.kill(new, signal.SIGTERM)
    server.wait_for(r"The new master \(pid: \d+\) ended with code 0")
