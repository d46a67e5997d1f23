"""A template that was copied from a worker keeps nobody's connection open."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Serve, serve
from tests.integration.wire import wire
from tests.servers import HELLO

__all__ = ["serve"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_connection_ends_when_its_worker_ends_it(serve: Serve, workers: str) -> None:
    """The end of a connection is seen when the last process has closed it, and not before."""
    server = serve(HELLO, "--workers", workers, "--refork-after", "8", "--keep-alive", "2")
    with wire(server) as kept, wire(server) as second:
        for client in (kept, second):
            assert client.get().status == 200
        while "Refork: process" not in server.log():
            for client in (kept, second):
                client.sock.settimeout(20)
                if client.get().closes:
                    return
        assert kept.closed()
        assert second.closed()
