"""The worker class that serves on gevent; importing it needs the gevent package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gunicorn.errors import ConfigError
from gunicorn.workers.base import Worker

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.glogging import Logger

try:
    import gevent  # noqa: F401 - the class cannot work without it
except ImportError as error:
    raise ImportError(
        "worker class 'gevent' needs the gevent package."
        " Install it with: pip install 'gunicorn[gevent]'",
        name="gevent",
    ) from error


class GeventWorker(Worker):
    """Refused at start, as this version does not serve on gevent."""

    @classmethod
    def check_config(cls, _cfg: Config, _log: Logger) -> None:
        """Raise ConfigError, always."""
        raise ConfigError("worker_class: 'gevent' is not supported yet. Use 'sync'.")
