"""Temporary files for what clients are slow to send and to read.

They have no names, so they end with the process at the latest, and no buffers of their own, so
that a full disk shows where the write is.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gunicorn.glogging import Logger

QUIET_TIME = 60.0
"""Seconds between two complaints about the same folder: a full disk concerns every request."""


NO_ROOM = "all of worker_spool_size is taken"


class TemporaryFiles:
    """Files in `folder` (None: the system's)."""

    def __init__(self, folder: str | None, log: Logger) -> None:
        self.folder = folder
        self.log = log
        self.complain_at = 0.0

    def open(self) -> int:
        """Return the descriptor of a new, empty file; raises `OSError`."""
        import tempfile  # noqa: PLC0415 - rarely needed, and slow to import

        descriptor, path = tempfile.mkstemp(prefix="gunicorn-", dir=self.folder)
        os.unlink(path)
        return descriptor

    def complain(self, what: str, error: object) -> None:
        """Log that `what` cannot be kept, once in a while; `error` says why."""
        import tempfile  # noqa: PLC0415 - rarely needed, and slow to import

        now = monotonic()
        if now >= self.complain_at:
            self.complain_at = now + QUIET_TIME
            place = self.folder or tempfile.gettempdir()
            self.log.warning("%s cannot be kept in a file in %s: %s.", what, place, error)


def write_all(descriptor: int, data: bytes | bytearray | memoryview, position: int) -> None:
    """Write all of `data` at `position`; raises `OSError`."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, position)
        view = view[written:]
        position += written
