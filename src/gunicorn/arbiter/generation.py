"""Generations: a configuration, and the workers that were started with it.

A reload does not change workers, it makes a new generation of them. While both live, the old one
serves; each new worker that has booted lets one old worker go. If the new generation cannot boot
the reload is called off, and nothing has been lost.
"""

from __future__ import annotations

import math
import socket
from typing import TYPE_CHECKING, Any, Protocol

from gunicorn.arbiter import messages

if TYPE_CHECKING:
    from gunicorn.arbiter.template import Template
    from gunicorn.certificates import Certificates
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


class Generation:
    """One configuration with what the arbiter reads of it often; times in seconds, 0 for none.

    `booted` becomes true when the first of its workers has loaded the application. `template` is
    the process that its workers are forked from, if `wants_template` or once it has reforked.
    `certificates` keeps the files of the SSL settings for them.
    """

    boot_timeout: float = 0.0
    request_timeout: float = 0.0
    max_memory: int = 0
    limit_is_low: bool = False
    """Whether it was said that a worker has more than `max_memory` from the beginning."""
    refork_after: int = 0
    surge: int | str = 1
    failed_successors: int = 0
    """Workers that were to replace another one, and did not boot."""
    stopping_helps: bool | None = None
    """Whether a successor boots once the worker that it replaces has gone; True to try that."""
    stopping_helped: bool = False
    certificates: Certificates | None = None
    booted: bool = False
    wants_template: bool = False
    template: Template | None = None
    seed: tuple[socket.socket, socket.socket] | None = None
    """The two ends of the channel to the worker that may become the template."""

    def __init__(
        self,
        number: int,
        cfg: Config,
        worker_class: type[Worker],
        listeners: list[Listener],
        timeout: float,
        graceful_timeout: float,
    ) -> None:
        self.number = number
        self.cfg = cfg
        self.worker_class = worker_class
        self.listeners = listeners
        self.timeout = timeout
        self.graceful_timeout = graceful_timeout

    @classmethod
    def of(cls, number: int, cfg: Config, listeners: list[Listener]) -> Generation:
        """The generation that `cfg` describes."""
        worker_class = cfg.worker_class
        made = cls(number, cfg, worker_class, listeners, cfg.timeout, cfg.graceful_timeout)
        made.boot_timeout = cfg.boot_timeout
        if not getattr(worker_class, "limits_requests", False):
            made.request_timeout = cfg.request_timeout
        made.max_memory = cfg.worker_max_memory
        made.refork_after = cfg.refork_after
        made.surge = cfg.reload_surge
        if made.refork_after:
            made.seed = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            messages.authenticate(made.seed[0])
        return made

    @property
    def stops_first(self) -> bool:
        """Whether a worker has to be gone before its successor is started."""
        return self.surge == 0 or bool(self.stopping_helps)

    @property
    def loads_alone(self) -> bool:
        """Whether its template may only be started when those of others, and theirs, are gone."""
        return self.surge == 0 and self.wants_template and self.template is None

    def beyond(self, wanted: int) -> int:
        """How many workers there may be on top of `wanted` while some are replaced."""
        if isinstance(self.surge, str):
            return max(1, math.ceil(wanted * int(self.surge.rstrip("%")) / 100))
        return self.surge

    def end_template(self) -> None:
        """No more workers of this generation will be forked."""
        if self.template is not None:
            self.template.leave()
            self.template = None
        if self.seed is not None:
            for channel in self.seed:
                channel.close()
            self.seed = None
