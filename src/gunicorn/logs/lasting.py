"""Loggers that go on logging, whatever the application configures.

An application owns the logging of its process, and most configure it: Django at its start, others
with `dictConfig` or `fileConfig` in the middle of a request. Such a configuration closes every
handler that there is, disables every logger that it does not name (unless told otherwise), and
takes their handlers away from those that it names, if only to give them a level. What it says of
the server's loggers counts. What it does to them in passing does not:

    handlers closed         nothing: the handlers of the server keep what they write to
    disabled                nothing, when it is `logging.config` that does it
    handlers taken away     they are used for as long as there are no others to be reached

The same done on purpose (`getLogger("gunicorn.access").disabled = True`, `handlers.clear()`) is
obeyed. And a handler or filter that raises costs its line and not the worker that logs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection
from typing import Any

from gunicorn.logs.unwaiting import complain

_CONFIGURING = "logging.config"
"""The module that configures in passing what others have configured on purpose."""


class Lasting(logging.Logger):
    """A logger that outlives the configuration of others. Made by `make_lasting`."""

    aside: list[logging.Handler]
    """Handlers that a configuration has taken away."""
    spared: bool
    """Whether a configuration would have disabled this logger."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "disabled" and value and _caller() == _CONFIGURING:
            self.spared = True
            return
        if name == "handlers" and not value and _caller() == _CONFIGURING:
            for handler in self.handlers:
                self._put_aside(handler)
        super().__setattr__(name, value)

    def removeHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802 - a name of logging's
        """Remove a handler; one that a configuration takes away is kept for want of others."""
        if _caller() == _CONFIGURING:
            self._put_aside(hdlr)
        super().removeHandler(hdlr)

    def hasHandlers(self) -> bool:  # noqa: N802 - a name of logging's
        """Whether a record is written by anybody, those put aside among them."""
        return super().hasHandlers() or bool(self.aside)

    def handle(self, record: logging.LogRecord) -> None:
        """Have the handlers write `record`. What they raise is printed to standard error."""
        try:
            super().handle(record)
        except Exception:
            complain(record)

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802 - a name of logging's
        """Pass `record` to the handlers that can be reached, or to those put aside."""
        if not self.aside or super().hasHandlers():
            super().callHandlers(record)
            return
        for handler in self.aside:
            if record.levelno >= handler.level:
                handler.handle(record)

    def _put_aside(self, handler: logging.Handler) -> None:
        if handler not in self.aside:
            self.aside.append(handler)


def make_lasting(logger: logging.Logger) -> Lasting:
    """Make `logger` one that lasts, whichever class it was made as. It stays the same object."""
    kind = type(logger)
    if not issubclass(kind, Lasting):
        name = kind.__name__
        logger.__class__ = Lasting if kind is logging.Logger else type(name, (Lasting, kind), {})
        logger.__dict__.update(aside=[], spared=False)
    assert isinstance(logger, Lasting)
    return logger


def make_borrowers_lasting(lenders: Collection[Lasting]) -> None:
    """Make every logger lasting that has the handlers of one of `lenders`.

    Worker classes of third parties give them to the loggers of a server of their own. When the
    application was loaded before that, its configuration may have disabled those as well.
    """
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if not isinstance(logger, logging.Logger) or logger in lenders:
            continue
        for lender in lenders:
            same = logger.handlers is lender.handlers
            if same or not set(logger.handlers).isdisjoint(lender.handlers):
                borrower = make_lasting(logger)
                if lender.spared:
                    borrower.disabled = False
                if borrower.level == logging.NOTSET:
                    borrower.setLevel(lender.getEffectiveLevel())
                if same:
                    borrower.aside = lender.aside


def _caller() -> str:
    """The module of whoever called the method that asks."""
    name: str = sys._getframe(2).f_globals.get("__name__", "")
    return name
