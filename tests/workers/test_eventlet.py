"""The worker class eventlet."""

from __future__ import annotations

from pathlib import Path

from tests.servers import HELLO, Server
from tests.workers.green import GreenTests


class TestEventlet(GreenTests):
    worker_class = "eventlet"
    all_asleep_within = 6.0


def test_a_warning_says_what_to_expect(tmp_path: Path) -> None:
    with Server("app:app", "-k", "eventlet", cwd=tmp_path, files={"app.py": HELLO}) as server:
        assert server.get("/").body == b"hello"
        server.says_in_all("eventlet is only maintained", 1)
