"""The file that tells other programs the pid of the arbiter.

It exists whole or not at all: the text is written to a temporary file beside it, which is then
renamed to its name. A file whose process is gone, or that names no process at all, is
stale and is replaced; the file of a process that lives is never touched.
"""

from __future__ import annotations

import contextlib
import os

from gunicorn.errors import HaltServer


class Pidfile:
    """A pidfile at `path`, created by `create` and removed by `unlink`."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.pid: int | None = None

    def create(self, pid: int) -> None:
        """Write `pid`. HaltServer when a living process owns the file or it cannot be written."""
        self._check_free(self.path, pid)
        self._write(pid)
        self.pid = pid

    def rename(self, path: str) -> None:
        """Move the file to `path`, under the conditions of `create`."""
        new = os.path.abspath(path)
        if new == self.path or self.pid is None:
            return
        self._check_free(new, self.pid)
        old = self.path
        self.path = new
        self._write(self.pid)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(old)

    def unlink(self) -> None:
        """Remove the file if it still names the pid that `create` wrote."""
        if self.pid is not None and self.read() == self.pid:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
        self.pid = None

    def read(self) -> int | None:
        """The pid in the file; None when there is no file or no pid in it."""
        return _pid_in(self.path)

    def owner(self) -> int | None:
        """The pid in the file if such a process runs."""
        return _owner_of(self.path)

    @staticmethod
    def _check_free(path: str, pid: int) -> None:
        owner = _owner_of(path)
        if owner not in {None, pid}:
            raise HaltServer(
                f"pidfile {path} belongs to process {owner}, which is running: "
                "stop it, or choose another --pid"
            )

    def _write(self, pid: int) -> None:
        import tempfile  # noqa: PLC0415 - rarely needed, and slow to import

        folder = os.path.dirname(self.path)
        try:
            fd, temporary = tempfile.mkstemp(prefix=".pid-", dir=folder)
            try:
                with open(fd, "w", encoding="ascii") as file:
                    file.write(f"{pid}\n")
                os.chmod(temporary, 0o644)
                os.rename(temporary, self.path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            raise HaltServer(
                f"pidfile {self.path} cannot be written: {error.strerror}; "
                "the folder must exist and be writable for the user who starts the server"
            ) from error


def _pid_in(path: str) -> int | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read(64).strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HaltServer(f"pidfile {path} cannot be read: {error.strerror}") from error
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def _owner_of(path: str) -> int | None:
    pid = _pid_in(path)
    return pid if pid is not None and _runs(pid) else None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        # It exists, and is another user's.
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether the process has ended, and only waits for its parent to take note (proc(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        # No such file system, or gone this moment; then it counts as running a last time.
        return False
