"""The worker class that serves on tornado; importing it needs the tornado package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gunicorn.errors import ConfigError
from gunicorn.workers.base import Worker

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.glogging import Logger

try:
    import tornado  # noqa: F401 - the class cannot work without it
except ImportError as error:
    raise ImportError(
        "worker class 'tornado' needs the tornado package."
        " Install it with: pip install 'gunicorn[tornado]'",
        name="tornado",
    ) from error


class TornadoWorker(Worker):
    """Refused at start, as this version does not serve on tornado."""

    @classmethod
    def check_config(cls, _cfg: Config, _log: Logger) -> None:
        """Raise ConfigError, always."""
        raise ConfigError("worker_class: 'tornado' is not supported yet. Use 'sync'.")
