"""Temporary files for what clients are slow to send and to read.

They have no names, so they end with the process at the latest, and no buffers of their own, so
that a full disk shows where the write is. A folder in which there can be none costs a line in the
log; whoever wanted the file goes on without, or lets its own client wait.
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

SYSTEM_FOLDERS = ("/tmp", "/var/tmp", "/usr/tmp")  # noqa: S108 - nobody can put a file in our way
"""Where temporary files go unless TMPDIR, TEMP or TMP say so, as with Python's tempfile module.

That module would be imported in the middle of a request, from where a worker that has become
another user may not be able to read any more.
"""


class TemporaryFiles:
    """Files in `folder`, the value of `setting`; None: in the first of the system's that can."""

    def __init__(self, setting: str, folder: str | None, log: Logger) -> None:
        self.setting = setting
        self.folder = folder
        self.log = log
        self.complain_at = 0.0

    def folders(self) -> list[str]:
        """Where to try."""
        if self.folder:
            return [self.folder]
        named = [os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)]
        return [*named, *SYSTEM_FOLDERS]

    def open(self) -> int:
        """Return the descriptor of a new, empty file; raises `OSError` of the first folder."""
        first: OSError | None = None
        for folder in self.folders():
            try:
                return _nameless(folder)
            except OSError as error:
                first = first or error
        assert first is not None
        raise first

    def complain(self, what: str, error: OSError | str) -> None:
        """Log that `what` cannot be kept, once in a while; `error` says why."""
        now = monotonic()
        if now < self.complain_at:
            return
        self.complain_at = now + QUIET_TIME
        advice = ""
        if isinstance(error, OSError):
            error = error.strerror or str(error)
            advice = f" Give {self.setting} a folder that can be written to and has room."
        self.log.warning(
            "%s cannot be kept in a file in %s: %s.%s",
            what, ", ".join(self.folders()), error, advice,
        )  # fmt: skip


def _nameless(folder: str) -> int:
    """The descriptor of a new file in `folder` that has no name, or none for long."""
    flags = os.O_RDWR | os.O_EXCL | os.O_CLOEXEC
    if hasattr(os, "O_TMPFILE"):
        try:
            return os.open(folder, flags | os.O_TMPFILE, 0o600)
        except OSError:
            # Not every file system has them; whether it is that, the next one tells.
            pass
    path = os.path.join(folder, f"gunicorn-{os.urandom(12).hex()}")
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    os.unlink(path)
    return descriptor


def write_all(descriptor: int, data: bytes | bytearray | memoryview, position: int) -> None:
    """Write all of `data` at `position`; raises `OSError`."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, position)
        view = view[written:]
        position += written
