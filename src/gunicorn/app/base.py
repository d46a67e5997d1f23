"""From a configuration to a running arbiter.

BaseApplication is what programs with a server of their own subclass: they give the settings in
`load_config` and the WSGI callable in `load`. Application adds the sources that the `gunicorn`
command has: configuration file, GUNICORN_CMD_ARGS and command line.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import Any, NoReturn

from gunicorn.app.environment import Surroundings
from gunicorn.arbiter import requirements
from gunicorn.arbiter.arbiter import Arbiter
from gunicorn.config import Config, classes, sources
from gunicorn.errors import AppImportError, ConfigError
from gunicorn.workers import failure, interfaces


class BaseApplication:
    """A configuration and the application that is served with it.

    Subclasses define `load_config`, which calls `self.cfg.set(name, value)`, and `load`, which
    returns the WSGI callable. Making one reads the configuration: when that is wrong, the message
    goes to standard error and the process exits with 1.
    """

    cfg: Config
    ends_process: bool = False
    """Whether nothing follows `run()` in this process, as in the `gunicorn` command: signals that
    would end it are ignored then until it is gone. Otherwise it gets back its own handlers."""

    def __init__(self, usage: str | None = None, prog: str | None = None) -> None:
        self.usage = usage
        self.prog = prog
        self.callable: Any = None
        self.logger: Any = None
        self._surroundings = Surroundings()
        self._loaded_for: Config | None = None
        self.do_load_config()

    def do_load_config(self) -> None:
        """Read the configuration, or exit with a message."""
        try:
            with self._surroundings.at_start():
                self._read_config()
        except ConfigError as exc:
            fail(str(exc))

    def load_default_config(self) -> None:
        """Begin with every setting at its default."""
        self.cfg = Config(self.usage, prog=self.prog)

    def init(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - what subclasses are given
        opts: argparse.Namespace,  # noqa: ARG002 - what subclasses are given
        args: Any,  # noqa: ARG002 - what subclasses are given
    ) -> dict[str, Any] | None:
        """Look at the command line before other sources; return framework settings, if any."""
        return None

    def load_config(self) -> None:
        """Give `self.cfg` its values. Subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} must define load_config()")

    def load(self) -> Any:
        """Return the WSGI callable. Subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} must define load()")

    def reload(self) -> None:
        """Read the configuration anew from all sources.

        Raises ConfigError when it is wrong; then `cfg` is what it was. The application is loaded
        anew when it is asked for next.
        """
        before = vars(self).copy()
        try:
            with self._surroundings.at_start():
                self._read_config()
            self._surroundings.enter(self.cfg)
        except BaseException:
            vars(self).update(before)
            self._surroundings.enter(self.cfg)
            raise

    def wsgi(self) -> Any:
        """The WSGI callable; loaded at the first call after the configuration was read."""
        if self.callable is None or self._loaded_for not in (None, self.cfg):
            self._surroundings.enter(self.cfg)
            app = self.load()
            if not callable(app):
                raise AppImportError(f"the application is {app!r}, not something to call")
            self.callable = app
            self._loaded_for = self.cfg
        return self.callable

    def run(self) -> None:
        """Serve until told to stop; or check or print the configuration. Ends in SystemExit.

        A program that catches that finds the signal handlers that it had before.
        """
        try:
            self._surroundings.enter(self.cfg)
            if self.cfg.print_config:
                print(self.cfg, flush=True)
            if self.cfg.check_config or self.cfg.print_config:
                self._check()
            if self.cfg.daemon:
                from gunicorn.arbiter import daemon  # noqa: PLC0415 - rarely needed

                daemon.daemonize(self.cfg.enable_stdio_inheritance)
            Arbiter(self).run()
        except (ConfigError, AppImportError) as exc:
            fail(str(exc))

    def _read_config(self) -> None:
        self.load_default_config()
        self.load_config()
        self.cfg.check()

    def _check(self) -> NoReturn:
        """Exit with 0 when classes and application can be loaded, otherwise with 1."""
        worker_class, logger_class = self.cfg.worker_class, self.cfg.logger_class
        if not hasattr(worker_class, "check_config"):
            raise ConfigError(f"worker_class: {worker_class!r} is not a worker class")
        if not callable(logger_class):
            raise ConfigError(f"logger_class: {logger_class!r} is not a class")
        requirements.check(self.cfg, logging.getLogger("gunicorn.error"))
        try:
            app = self.wsgi()
        except (ConfigError, AppImportError):
            raise
        except Exception as exc:
            fail(f"the application cannot be loaded\n{failure.describe(exc).rstrip()}")
        name = self.cfg.worker_class_str
        if classes.is_own(name) and not any(kind in name for kind in ("tornado", "asgi")):
            interfaces.check_wsgi(app, name)
        sys.exit(0)


class Application(BaseApplication):
    """An application that is configured as the `gunicorn` command is."""

    def load_config(self) -> None:
        """Read all sources, the weakest first."""
        parser = self.cfg.parser()
        variable = sources.variable_arguments(parser, os.environ)
        options = parser.parse_args()
        given = sources.merged(variable, options)
        framework = self.init(parser, given, given.args) or {}
        sources.apply(self.cfg, sources.framework_assignments(framework))
        sources.apply(self.cfg, sources.file_assignments(self.cfg, given.config))
        sources.apply(self.cfg, sources.flag_assignments(variable, sources.ARGUMENTS_VARIABLE))
        sources.apply(self.cfg, sources.flag_assignments(options))


def fail(message: str) -> NoReturn:
    """Tell what is wrong and exit with 1."""
    print(f"Error: {message}", file=sys.stderr, flush=True)
    sys.exit(1)
