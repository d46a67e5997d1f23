"""Many small servers of one worker class, each with a configuration of its own.

They are forked from one process, see `fork_servers`, which is imported by nobody but that process:
what tests need would be in the servers too.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.integration.wire import Wire
from tests.servers import Server, free_port

ROOT = Path(__file__).parents[2]
LOG = "server.log"


@dataclass(frozen=True)
class Place:
    """One server: the folder that it runs in, and its port. It listens at `socket` there too."""

    folder: Path
    port: int

    def log(self) -> str:
        return (self.folder / LOG).read_text()

    def connect(self, source: str = "127.0.0.1") -> Wire:
        """A new connection from the address `source`."""
        return Wire(socket.create_connection(("127.0.0.1", self.port), 20, (source, 0)))

    def is_ready(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


@contextlib.contextmanager
def fleet(
    root: Path,
    app: str,
    configurations: Sequence[str],
    options: Sequence[str],
    unsaid: Sequence[str] = (),
) -> Iterator[list[Place]]:
    """Serve `app`, the source of a module, once for each of `configurations`; all end well.

    No log has any of the words `unsaid` at its end.
    """
    places = [Place(root / str(number), free_port()) for number in range(len(configurations))]
    for place, configuration in zip(places, configurations, strict=True):
        place.folder.mkdir()
        (place.folder / "app.py").write_text(app)
        (place.folder / "gunicorn.conf.py").write_text(
            f"bind = ['127.0.0.1:{place.port}', 'unix:socket']\n{configuration}\n"
        )
    command = (
        sys.executable, "-m", "tests.http.fork_servers",
        *(str(place.folder) for place in places), "--",
    )  # fmt: skip
    with Server(
        "app:app", *options, cwd=root, command=command, bind="", wait=False,
        address=("127.0.0.1", places[0].port), env={"PYTHONPATH": str(ROOT)},
    ) as servers:  # fmt: skip
        for place in places:
            servers.until(place.is_ready, f"the server in {place.folder}")
        yield places
    for place in places:
        log = place.log()
        assert not [words for words in unsaid if words in log], log
