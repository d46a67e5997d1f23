"""The logs of the server: what it does (gunicorn.error) and what it served (gunicorn.access).

Both are ordinary loggers of the standard library, so an application, a logging configuration or a
service that hooks into ``logging`` sees their records. `Logger` gives them their handlers from the
settings and is what ``logger_class`` replaces: a subclass may override any method named here.

The access log has two roads. The ordinary one, `Logger.access`, makes a dictionary of every atom
and a log record. The short one, `Logger.access_writer`, is for the worker's hot path: when nobody
has changed how a line is made or where it goes, the compiled format is written straight to the
file. Both give the same line.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from gunicorn.config.classes import is_own
from gunicorn.errors import ConfigError
from gunicorn.logs import access as access_format
from gunicorn.logs.access import SafeAtoms
from gunicorn.logs.batch import AccessBatch
from gunicorn.logs.configure import configure
from gunicorn.logs.files import Files
from gunicorn.logs.handlers import LineHandler, is_file, open_log
from gunicorn.logs.lasting import make_borrowers_lasting, make_lasting
from gunicorn.logs.opening import careful_handlers

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["Logger", "SafeAtoms"]

AccessWriter = Callable[[Any, Any, dict[str, Any], float], None]

LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}

UNWRITABLE = "The line of a request could not be made for the access log"


class Logger:
    """Logs for an arbiter and its workers, set up from `cfg`.

    Raises ConfigError when a log file cannot be opened, syslog cannot be reached or a logging
    configuration or access-log format is wrong.
    """

    loglevel = logging.INFO
    error_fmt = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    access_fmt = "%(message)s"
    syslog_fmt = "[%(process)d] %(message)s"
    datefmt = "[%Y-%m-%d %H:%M:%S %z]"
    #: Wraps what `atoms` returns before it is formatted.
    atoms_wrapper_class = SafeAtoms

    # The handlers that a Logger has added: the loggers are one a process, and so is this.
    _handlers: ClassVar[list[logging.Handler]] = []

    def __init__(self, cfg: Any) -> None:
        self.error_log = make_lasting(logging.getLogger("gunicorn.error"))
        self.error_log.propagate = False
        self.access_log = make_lasting(logging.getLogger("gunicorn.access"))
        self.access_log.propagate = False
        #: The open file of errorlog, None when the error log is stderr.
        self.logfile: Any = None
        self.cfg = cfg
        self._configured = False
        self._files = Files(self._handlers, self.error)
        self._clock = access_format.Clock()
        self._render: access_format.Renderer | None = None
        self.setup(cfg)

    # -- setting up

    def setup(self, cfg: Any) -> None:
        """Give the two loggers levels and handlers as `cfg` says; may be called again on reload.

        After a ConfigError they may be without handlers, until it is called with what is right.
        """
        self.cfg = cfg
        self._remove_handlers()
        self._files.belong_to(cfg.uid, cfg.gid)
        self._compile_access_format()
        self.loglevel = LEVELS.get(cfg.loglevel.lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        self._configure()
        self._add_error_handler()
        self._add_access_handler()
        self._add_syslog_handlers()
        if cfg.capture_output:
            self._capture_output()

    def _remove_handlers(self) -> None:
        """Take away what an earlier setup added, by this Logger or one that it replaces."""
        for handler in self._handlers:
            for logger in (self.error_log, self.access_log):
                logger.removeHandler(handler)
            # Ours outlive a mere close.
            getattr(handler, "let_go", handler.close)()
        self._handlers.clear()
        self.logfile = None

    def _configure(self) -> None:
        """Apply a logging configuration; the handlers it gives our loggers stand for ours."""
        loggers = (self.error_log, self.access_log)
        before = [handler for logger in loggers for handler in logger.handlers]
        with careful_handlers(self._files.user):
            self._configured = configure(self.cfg)
        for logger in loggers:
            # What the configuration has replaced is not to come back.
            logger.aside.clear()
        now = [handler for logger in loggers for handler in logger.handlers]
        self._handlers.extend(handler for handler in now if handler not in before)

    def _compile_access_format(self) -> None:
        wanted = self.cfg.access_log_format
        form = access_format.ISO_TIME if wanted == access_format.JSON else access_format.APACHE_TIME
        self._clock = access_format.Clock(form)
        try:
            self._render = access_format.compile_format(wanted, self._clock)
        except ConfigError:
            if is_own(self.cfg.worker_class_str):
                raise
            # The class may write the access log itself, in a format language of its own.
            self._render = None

    def _add_error_handler(self) -> None:
        """The handler of errorlog, unless a logging configuration gave the logger its own."""
        target = self.cfg.errorlog
        if target is None or (self._configured and self.error_log.hasHandlers()):
            return
        handler = open_log(target, "errorlog", sys.stderr, self._files.user)
        if handler.path is not None:
            self.logfile = handler.stream
        self._add(self.error_log, handler, logging.Formatter(self.error_fmt, self.datefmt))

    def _add_access_handler(self) -> None:
        target = self.cfg.accesslog
        if target is None or (self._configured and self.access_log.hasHandlers()):
            return
        handler = open_log(target, "accesslog", sys.stdout, self._files.user)
        handler.report = self.warning
        self._add(self.access_log, handler, logging.Formatter(self.access_fmt, self.datefmt))

    def _add_syslog_handlers(self) -> None:
        cfg = self.cfg
        if not cfg.syslog:
            return
        from gunicorn.logs.syslog import open_syslog  # noqa: PLC0415 - rarely needed

        prefix = (cfg.syslog_prefix or cfg.proc_name).replace(":", ".")
        loggers = [(self.error_log, "error")]
        if not cfg.disable_redirect_access_to_syslog:
            loggers.append((self.access_log, "access"))
        for logger, kind in loggers:
            handler = open_syslog(cfg.syslog_addr, cfg.syslog_facility)
            formatter = logging.Formatter(f"gunicorn.{prefix}.{kind}: {self.syslog_fmt}")
            self._add(logger, handler, formatter)

    def _add(
        self, logger: logging.Logger, handler: logging.Handler, formatter: logging.Formatter
    ) -> None:
        handler.setFormatter(formatter)
        logger.addHandler(handler)
        self._handlers.append(handler)

    def _capture_output(self) -> None:
        """Put the file of errorlog under stdout and stderr of this process and its children."""
        if self.logfile is None:
            return
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
                # A file is not a terminal, but its lines should not wait in a buffer either.
                if isinstance(stream, io.TextIOWrapper):
                    stream.reconfigure(line_buffering=True)
        for standard in (1, 2):
            os.dup2(self.logfile.fileno(), standard)
        for handler in self._handlers:
            if isinstance(handler, LineHandler):
                handler.look()

    # -- the error log

    def critical(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.error_log.critical(msg, *args, **_at_caller(kwargs))

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.error_log.error(msg, *args, **_at_caller(kwargs))

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.error_log.warning(msg, *args, **_at_caller(kwargs))

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.error_log.info(msg, *args, **_at_caller(kwargs))

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.error_log.debug(msg, *args, **_at_caller(kwargs))

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """An error with the traceback of the exception being handled."""
        self.error_log.exception(msg, *args, **_at_caller(kwargs))

    def log(self, lvl: int | str, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at `lvl`, a number of the logging module or a name such as ``"warning"``."""
        if isinstance(lvl, str):
            lvl = LEVELS.get(lvl.lower(), logging.INFO)
        self.error_log.log(lvl, msg, *args, **_at_caller(kwargs))

    # -- the access log

    @property
    def access_log_enabled(self) -> bool:
        """Whether a request makes a line: some setting asks for it, and a handler takes it."""
        cfg = self.cfg
        wanted = (
            cfg.accesslog is not None
            or cfg.logconfig
            or cfg.logconfig_dict
            or cfg.logconfig_json
            or (cfg.syslog and not cfg.disable_redirect_access_to_syslog)
        )
        return bool(wanted) and self.access_log.hasHandlers()

    def now(self) -> str:
        """The time stamp of the access log."""
        return self._clock()

    def atoms(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta
    ) -> dict[str, Any]:
        """Every atom of a request by name, unescaped. Subclasses may add to it or change it."""
        return access_format.atoms(resp, req, environ, request_time.total_seconds(), self.now())

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Log one request that took `request_time`."""
        if not self.access_log_enabled:
            return
        try:
            if self._render is not None and self.cfg.access_log_format == access_format.JSON:
                line = self._render(resp, req, environ, request_time.total_seconds())
                self.access_log.info("%s", line.decode().rstrip("\n"))
            else:
                atoms = self.atoms_wrapper_class(self.atoms(resp, req, environ, request_time))
                self.access_log.info(self.cfg.access_log_format, atoms)
        except Exception:
            # A line of the log is not worth a request: the response is out already.
            self.exception(UNWRITABLE)

    def access_writer(self) -> AccessWriter | None:
        """What the hot path calls after each request, with the seconds it took; None for nothing.

        Ask once, after the application was loaded: it may have changed the loggers.
        """
        changed = self._overrides("access")
        if not changed and not self.access_log_enabled:
            return None
        handler = self._plain_handler()
        if handler is None or self._render is None or changed or self._overrides("atoms", "now"):
            return self._access_by_seconds
        render, write = self._render, handler.write

        def access(resp: Any, req: Any, environ: dict[str, Any], seconds: float) -> None:
            try:
                write(render(resp, req, environ, seconds))
            except Exception:
                self.exception(UNWRITABLE)

        return access

    def access_batch(self) -> AccessBatch | None:
        """The same for one thread that writes the lines of many requests at once.

        The caller flushes it. None when the log is not a plain one in a file, where lines that
        wait would be nobody's gain.
        """
        handler = self._plain_handler()
        if handler is None or self._render is None or self._overrides("access", "atoms", "now"):
            return None
        if not self.access_log_enabled or handler.path is None or not is_file(handler.fd):
            return None
        return AccessBatch(self._render, handler, partial(self.exception, UNWRITABLE))

    def _access_by_seconds(
        self, resp: Any, req: Any, environ: dict[str, Any], seconds: float
    ) -> None:
        from datetime import timedelta  # noqa: PLC0415 - slow to import, for plug-ins only

        self.access(resp, req, environ, timedelta(seconds=seconds))

    def _overrides(self, *names: str) -> bool:
        """Whether a subclass (or an assignment) has put its own method in place of one of ours."""
        return any(
            name in vars(self) or getattr(type(self), name) is not getattr(Logger, name)
            for name in names
        )

    def _plain_handler(self) -> LineHandler | None:
        """The one handler of the access log, when it is ours and nothing else sees its records."""
        logger = self.access_log
        if len(logger.handlers) != 1 or logger.propagate or logger.filters:
            return None
        handler = logger.handlers[0]
        plain = (
            type(handler) is LineHandler
            and not handler.filters
            and handler.level <= logging.INFO
            and self.access_fmt == Logger.access_fmt
            and self.atoms_wrapper_class is SafeAtoms
            and logger.isEnabledFor(logging.INFO)
        )
        return handler if plain and isinstance(handler, LineHandler) else None

    # -- files

    def reopen_files(self) -> None:
        """Open every log file of the process by its name again (after logrotate moved it)."""
        self._files.reopen()
        if self.cfg.capture_output:
            self._capture_output()

    def enter_worker(self) -> None:
        """Prepare for an application, which may configure logging and start programs."""
        make_borrowers_lasting((self.error_log, self.access_log))
        for handler in self._handlers:
            if (prepare := getattr(handler, "enter_worker", None)) is not None:
                prepare()
        self._files.enter_worker()


def _at_caller(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Make a record name the file and line of the caller of Logger, not those of Logger."""
    kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
    return kwargs
