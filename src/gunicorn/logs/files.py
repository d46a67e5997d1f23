"""The log files of a process: opening them again, and who may open them at all.

A process has handlers of its own, those of a logging configuration, and those of the application.
USR1 has all of them opened again by their names. Where a worker may not do so, as it has dropped
its privileges, it takes what the arbiter has opened (`gunicorn.logs.handover`).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable

from gunicorn.logs.handlers import LineHandler, descriptor, is_file
from gunicorn.logs.handover import Handover
from gunicorn.logs.opening import Identity, acting_as, open_stream

FileHandler = LineHandler | logging.FileHandler


class Files:
    """The files of the handlers `ours`, and of every other handler of this process."""

    def __init__(self, ours: Iterable[logging.Handler], complain: Callable[[str, OSError], None]):
        """`complain` is called with a message for a file that cannot be opened."""
        self.ours = ours
        self.complain = complain
        self.user: Identity | None = None
        self.handover: Handover | None = None

    def belong_to(self, uid: int, gid: int) -> None:
        """From now on the workers are `uid` and `gid`. Called in the arbiter, before it forks."""
        drops = os.geteuid() == 0 and uid != 0
        self.user = Identity(uid, gid) if drops else None
        if drops and self.handover is None and hasattr(socket, "MSG_CMSG_CLOEXEC"):
            self.handover = Handover()
        if self.handover is not None:
            self.handover.clear()

    def handlers(self) -> list[FileHandler]:
        """The handlers that hold a file."""
        loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
        handlers = {handler for logger in loggers for handler in getattr(logger, "handlers", ())}
        return [
            handler
            for handler in handlers.union(self.ours)
            if isinstance(handler, logging.FileHandler)
            or (isinstance(handler, LineHandler) and handler.path is not None)
        ]

    def reopen(self) -> None:
        """Open every file by its name again."""
        passed_on: dict[str, int] | None = None
        handlers = self.handlers()
        for handler in handlers:
            try:
                self._reopen(handler)
            except OSError as error:
                if passed_on is None:
                    passed_on = self._look()
                if (fd := passed_on.pop(_name(handler), -1)) >= 0:
                    _put_under(handler, fd)
                else:
                    text = "A log file could not be reopened, the old one stays in use: %s"
                    self.complain(text, error)
        for fd in (passed_on or {}).values():
            os.close(fd)
        self._pass_on(handlers)

    def enter_worker(self) -> None:
        """Keep log files from programs that this process starts, and what is the arbiter's."""
        if self.handover is not None:
            self.handover.enter_worker()
        for handler in self.handlers():
            fd = descriptor(handler.stream)
            if fd > 2:
                os.set_inheritable(fd, False)

    def _reopen(self, handler: FileHandler) -> None:
        if isinstance(handler, LineHandler):
            handler.reopen()
        elif handler.stream is not None and is_file(handler.stream.fileno()):
            _replace(handler, self._open(handler))

    def _open(self, handler: logging.FileHandler) -> object:
        if self.user is None or os.geteuid() != 0:
            return handler._open()
        if type(handler)._open is logging.FileHandler._open:
            return open_stream(handler, self.user)
        with acting_as(self.user):
            # A way of opening of its own, which may follow what root must not.
            return handler._open()

    def _look(self) -> dict[str, int]:
        return {} if self.handover is None else self.handover.look()

    def _pass_on(self, handlers: list[FileHandler]) -> None:
        if self.handover is None or os.getpid() != self.handover.owner:
            return
        files = {_name(each): descriptor(each.stream) for each in handlers}
        try:
            self.handover.publish({name: fd for name, fd in files.items() if fd >= 0})
        except OSError as error:
            self.complain("The log files cannot be passed on to workers: %s", error)


def _name(handler: FileHandler) -> str:
    return str(handler.path) if isinstance(handler, LineHandler) else handler.baseFilename


def _put_under(handler: FileHandler, fd: int) -> None:
    """Have `handler` write to `fd`, which becomes its own."""
    if isinstance(handler, LineHandler):
        handler.take(fd)
    else:
        stream = os.fdopen(fd, "a", encoding=handler.encoding, errors=handler.errors)
        _replace(handler, stream)


def _replace(handler: logging.FileHandler, opened: object) -> None:
    """Change the stream of a handler of the standard library."""
    handler.acquire()
    try:
        replaced, handler.stream = handler.stream, opened  # type: ignore[assignment]
        if replaced is not None:
            replaced.close()
    finally:
        handler.release()
