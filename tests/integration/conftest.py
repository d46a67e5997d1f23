"""Servers for one test; modules whose tests can share one server define a fixture of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gunicorn import compiled
from tests.servers import Server, started_in_test

# Two of a kind are not worth comparing; tests/test_compiled.py says whether there should be more.
collect_ignore = [] if compiled.available() else ["test_exchanges.py"]

Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start `app.py` (the first argument is its source) in tmp_path; everything ends by TERM.

    A server that does not end in good order fails the test.
    """
    with started_in_test() as servers:

        def start(
            source: str | None, *args: str, app: str | None = "app:app", **options: Any
        ) -> Server:
            files = {**({"app.py": source} if source else {}), **options.pop("files", {})}
            server = Server(app, *args, cwd=options.pop("cwd", tmp_path), files=files, **options)
            servers.append(server)
            return server

        yield start
