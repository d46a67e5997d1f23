"""Handlers that cannot hurt the process they log for.

A line is one ``write`` on a descriptor opened for appending, so lines of several workers never mix
and no buffer has to be flushed. A descriptor that fails (disk full, broken pipe, a pipe or terminal
that nobody reads) costs the line, never the worker: the lines lost are counted, and the number is
logged as soon as writing works again. A reader that is busy for a moment is waited for, once, and
for as long as a request can be kept waiting; after that not again until it has read. Reopening puts
the new file under the same descriptor number, so writers in other threads need no lock.
"""

from __future__ import annotations

import io
import logging
import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from gunicorn.errors import ConfigError
from gunicorn.logs.opening import Identity, open_to_append
from gunicorn.logs.unwaiting import Patience, complain, may_wait, write_now
from gunicorn.syscalls import write


class LogStream(io.TextIOBase):
    """A handler as a text stream: what is written to it goes into the log, and never fails.

    For `wsgi.errors`, and for those who take the stream of a handler.
    """

    encoding = "utf-8"

    def __init__(self, handler: LineHandler) -> None:
        super().__init__()
        self.handler = handler

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.handler.write(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def fileno(self) -> int:
        """The descriptor; OSError (io.UnsupportedOperation) when there is none."""
        return self.handler.fd if self.handler.fd >= 0 else super().fileno()


if TYPE_CHECKING:
    Handler = logging.StreamHandler[LogStream]
else:
    Handler = logging.StreamHandler  # Python 3.10 cannot subscript it


class LineHandler(Handler):
    """Writes each record as one line to a descriptor.

    `path` names a file to append to, for workers that become `user`; without it `target` (stdout or
    stderr) is used and never closed. `report` is called with a message when lines that were lost
    must be made known elsewhere; without it the message goes into this log itself. OSError when the
    file cannot be opened.
    """

    def __init__(
        self,
        path: str | None = None,
        target: TextIO | None = None,
        report: Callable[[str], None] | None = None,
        user: Identity | None = None,
    ) -> None:
        self.path = path
        self.target = target
        self.report = report
        self.user = user
        self.lost = 0
        self.reason = ""
        self.fd = open_to_append(path, user) if path is not None else descriptor(target)
        self._patience = Patience()
        self.put: Callable[[int, bytes], int]
        self.look()
        super().__init__(LogStream(self))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + self.terminator
        except Exception:
            # A message that does not fit its arguments.
            self.handleError(record)
            return
        self.write(line.encode("utf-8", "backslashreplace"))

    def write(self, line: bytes) -> None:
        """Write `line`, which ends with its newline. Never raises OSError, and hardly waits."""
        try:
            if self.fd < 0:
                self._write_text(line.decode())
            elif (written := self.put(self.fd, line)) != len(line):
                self._finish(line, written)
        except BlockingIOError as error:
            self._write_when_ready(line, error)
        except (OSError, ValueError) as error:
            self._lose(error, line.count(b"\n"))
        else:
            if self.lost:
                self._report_losses()

    def _write_text(self, text: str) -> None:
        """Write to a standard stream that has been replaced by one without a descriptor."""
        if self.target is None:
            raise ValueError("the log is closed")
        self.target.write(text)
        self.target.flush()

    def _write_when_ready(self, line: bytes, error: OSError) -> None:
        """Give a full pipe a moment, unless it has just had one; then let the line go."""
        try:
            if not may_wait(self.fd):
                self.look()
            elif not self._patience.room(self.fd):
                raise error
            if (written := self.put(self.fd, line)) != len(line):
                self._finish(line, written)
        except OSError as again:
            self._lose(again, line.count(b"\n"))
        else:
            if self.lost:
                self._report_losses()

    def _finish(self, line: bytes, written: int) -> None:
        """Write the rest of a line that was cut short. OSError when there is no room for it."""
        try:
            if may_wait(self.fd) and self._patience.room(self.fd):
                written += self.put(self.fd, line[written:])
            if written == len(line):
                return
            # It would run into the next one.
            self.put(self.fd, b"\n")
        except OSError:
            # There is no room for that either: the pipe is full, or the disk.
            self.put = self._put_after_cut
        raise OSError("a line was cut short, as there was no room for all of it")

    def _put_after_cut(self, fd: int, line: bytes) -> int:
        """Write a line after one that lacks its newline."""
        put = write_now if may_wait(fd) else write
        written = put(fd, b"\n" + line)
        self.look()
        return written - 1

    def look(self) -> None:
        """See whether writes might wait; to be called when another file has taken the number."""
        self.put = write_now if may_wait(self.fd) else write

    def _lose(self, error: Exception, lines: int = 1) -> None:
        self.lost += lines
        self.reason = str(error)

    def _report_losses(self) -> None:
        message = f"{self.lost} lines of the log {self.name_of_target} were lost: {self.reason}"
        self.lost = 0
        if self.report is not None:
            self.report(message)
        else:
            self.emit(logging.makeLogRecord({"msg": message, "levelname": "WARNING"}))

    @property
    def name_of_target(self) -> str:
        return repr(self.path) if self.path is not None else "on standard output"

    def reopen(self) -> None:
        """Open the file of that name anew, after it was moved away. OSError: the old one stays.

        What is no file (/dev/stdout, a pipe) is not moved away, and opening it might wait.
        """
        if self.path is None or not is_file(self.fd):
            return
        self.take(open_to_append(self.path, self.user))

    def take(self, fd: int) -> None:
        """Write to the file of `fd`, which is closed, from now on."""
        try:
            os.dup2(fd, self.fd, inheritable=False)
        finally:
            os.close(fd)
        self.look()

    def close(self) -> None:
        """Tell what was lost. The file stays open: see `let_go`."""
        if self.lost and self.report is not None:
            self._report_losses()
        super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - a name of logging's
        complain(record)

    def let_go(self) -> None:
        """Close the file. What is written from now on is lost.

        It is not `close` that does so: `logging.config` closes every handler of the process when
        an application configures logging, and so does `logging.shutdown` while some still log.
        To open the file again by its name then, as FileHandler does, may be out of reach for a
        worker that has dropped its privileges.
        """
        if self.path is not None and self.fd >= 0:
            os.close(self.fd)
            # The number may soon mean another file: nothing more is to be written to it.
            self.fd = -1
        self.close()


def descriptor(stream: Any) -> int:
    """The descriptor under `stream`, or -1 when it has none (a replaced sys.stdout)."""
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return -1


def is_file(fd: int) -> bool:
    """Whether `fd` is a file on a disk: no device, pipe or terminal."""
    return stat.S_ISREG(os.fstat(fd).st_mode)


def open_log(
    target: str, setting: str, standard: TextIO | None, user: Identity | None = None
) -> LineHandler:
    """A handler for the value `target` of the setting `setting`: a path, or ``-`` for `standard`.

    `user` is who the workers become. ConfigError when the file cannot be opened for appending.
    """
    if target == "-":
        return LineHandler(target=standard) if standard is not None else LineHandler(os.devnull)
    try:
        return LineHandler(target, user=user)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{setting}: cannot open the log file {target!r}: {reason}. "
            "Its directory must exist, and both be writable by the user who starts the server."
        ) from error
