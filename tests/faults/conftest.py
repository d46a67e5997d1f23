"""Servers for faults, with the log shown when a test fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.load import APP
from tests.servers import Server, started_in_test

Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers of `app:app` in tmp_path; all are stopped, and none may leave a process."""
    with started_in_test() as servers:

        def start(*args: str, app: str = "app:app", **options: Any) -> Server:
            files = {"app.py": APP, **options.pop("files", {})}
            server = Server(app, *args, cwd=tmp_path, files=files, **options)
            servers.append(server)
            return server

        yield start
