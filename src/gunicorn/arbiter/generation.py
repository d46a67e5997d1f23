"""Generations: a configuration, and the workers that were started with it.

A reload does not change workers, it makes a new generation of them. While both live, the old one
serves; each new worker that has booted lets one old worker go. If the first workers of the new
generation cannot boot the reload is called off, and nothing has been lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.sock import Listener
    from gunicorn.workers.base import Worker


class Application(Protocol):
    """What the arbiter needs of an application (gunicorn.app.base.BaseApplication has it)."""

    cfg: Config
    callable: Any

    def wsgi(self) -> Any:
        """Load the application once, and return its callable."""

    def reload(self) -> None:
        """Read the configuration anew into `cfg`; ConfigError leaves `cfg` as it was."""


@dataclass(eq=False)
class Generation:
    """One configuration with what the arbiter reads of it often.

    `booted` becomes true when the first of its workers has loaded the application.
    """

    number: int
    cfg: Config
    worker_class: type[Worker]
    listeners: list[Listener]
    timeout: float
    graceful_timeout: float
    booted: bool = False

    @classmethod
    def of(cls, number: int, cfg: Config, listeners: list[Listener]) -> Generation:
        """The generation that `cfg` describes."""
        return cls(number, cfg, cfg.worker_class, listeners, cfg.timeout, cfg.graceful_timeout)
