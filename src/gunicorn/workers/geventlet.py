"""The worker class that serves on eventlet; importing it needs the eventlet package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gunicorn.errors import ConfigError
from gunicorn.workers.base import Worker

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.glogging import Logger

try:
    import eventlet  # noqa: F401 - the class cannot work without it
except ImportError as error:
    raise ImportError(
        "worker class 'eventlet' needs the eventlet package."
        " Install it with: pip install 'gunicorn[eventlet]'",
        name="eventlet",
    ) from error


class EventletWorker(Worker):
    """Refused at start, as this version does not serve on eventlet."""

    @classmethod
    def check_config(cls, _cfg: Config, _log: Logger) -> None:
        """Raise ConfigError, always."""
        raise ConfigError("worker_class: 'eventlet' is not supported yet. Use 'sync'.")
