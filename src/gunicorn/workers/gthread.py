"""The worker class that runs the application on several threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gunicorn.errors import ConfigError
from gunicorn.workers.base import Worker

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.glogging import Logger


class ThreadWorker(Worker):
    """Refused at start, as this version serves with one thread in a worker."""

    @classmethod
    def check_config(cls, _cfg: Config, _log: Logger) -> None:
        """Raise ConfigError, always."""
        raise ConfigError(
            "worker_class: 'gthread' is not supported yet. Use 'sync' with threads = 1."
        )
