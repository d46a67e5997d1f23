"""Signals take effect soon, whatever the application does with the means to be woken by them."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from tests.servers import Server, alive
from tests.worker_classes import WORKER_CLASSES

APP = """\
import asyncio
import os
import signal
import threading

async def take_the_wakeup_descriptor():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR2, print)
    loop.remove_signal_handler(signal.SIGUSR2)

def take_it_for_good():
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(FULL[1])

FULL = os.pipe()
for fd in FULL:
    os.set_blocking(fd, False)

if os.environ["TAKE"] == "asyncio":
    loop = asyncio.new_event_loop()
    loop.run_until_complete(take_the_wakeup_descriptor())
    loop.close()
elif os.environ["TAKE"] == "at import":
    take_it_for_good()

def app(environ, start_response):
    if os.environ["TAKE"] == "in requests":
        try:
            take_it_for_good()
        except ValueError:
            "A green thread of another than the main thread."
    start_response("200 OK", [("Content-Length", "2"), ("X-Worker", str(os.getpid()))])
    return [b"ok"]
"""

SOON = 5.0
"""Seconds: far more than a pause of a loop takes, and far less than graceful_timeout."""


def gone(pid: int) -> bool:
    return not alive(pid)


@pytest.mark.parametrize("take", ["asyncio", "at import", "in requests"])
@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_signals_are_heard_without_the_wakeup_descriptor(
    tmp_path: Path, worker_class: str, take: str
) -> None:
    args = (*WORKER_CLASSES[worker_class], "--graceful-timeout", "60")
    files = {"app.py": APP}
    count = 2 if worker_class == "sync-siblings" else 1
    with Server("app:app", *args, cwd=tmp_path, env={"TAKE": take}, files=files) as server:
        for reload in range(3):
            workers = server.wait_serving(count)
            # The longer it is, the more threads are asleep that a signal has to wake.
            time.sleep(0.2)
            server.send_signal(signal.SIGHUP)
            server.wait_for("Reload done", SOON, count=reload + 1)
            for pid in workers:
                server.until(partial(gone, pid), "the old workers' end", SOON)
        os.kill(server.wait_serving(count)[0], signal.SIGTERM)
        server.wait_for("Booting worker", SOON, count=4 * count + 1)
        server.wait_serving(count)
        assert server.stop(timeout=SOON) == 0
