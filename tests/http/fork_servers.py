"""Many servers at once: `python -m tests.http.fork_servers FOLDER... -- OPTIONS`.

Starting Python and importing what a server needs takes longer than a small server lives, so all
of them are forked from one process that has imported it. Each then runs the command `gunicorn`
with OPTIONS in its folder, where its configuration file and its application are, and writes its
log there, to `server.log`. SIGTERM stops all; the exit code is 0 if that of each was.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from gunicorn.app import wsgiapp
from gunicorn.config import classes

LOG = "server.log"


def serve(folder: Path, options: list[str]) -> int:
    """Run the command in `folder`; returns its exit code."""
    os.chdir(folder)
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = ["gunicorn", *options]
    try:
        wsgiapp.run("gunicorn")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def main() -> int:
    """Start every server, and wait for the end of all."""
    border = sys.argv.index("--")
    folders, options = sys.argv[1:border], sys.argv[border + 1 :]
    importlib.import_module("gunicorn.arbiter.arbiter")
    if "--worker-class" in options:
        classes.worker_class(options[options.index("--worker-class") + 1])
    running: dict[int, str] = {}
    for folder in folders:
        pid = os.fork()
        if pid == 0:
            os._exit(serve(Path(folder), options))
        running[pid] = folder

    def stop(_signal: int, _frame: FrameType | None) -> None:
        for pid in running:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    failed = 0
    while running:
        pid, status = os.wait()
        folder = running.pop(pid)
        if status:
            failed = 1
            print(f"{folder}: {os.waitstatus_to_exitcode(status)}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
