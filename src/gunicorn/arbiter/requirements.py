"""What a configuration asks of its worker class and of this system.

Looked at before the start, at each reload and by --check-config, so that what cannot be had is
refused, and not missed when it is needed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from gunicorn.errors import ConfigError
from gunicorn.libc import become_subreaper
from gunicorn.workers import privileges

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.workers.base import Worker


def check(cfg: Config, log: Any) -> None:
    """Raise ConfigError when `cfg` wants what cannot be done here."""
    worker_class = cfg.worker_class
    worker_class.check_config(cfg, log)
    privileges.check(cfg, log)
    if cfg.has_ssl_context_hook and not cfg.certfile and not _uses_tls(worker_class):
        raise ConfigError(
            f"{_given(cfg, 'ssl_context')}: workers of the class {cfg.worker_class_str} make their"
            " TLS context of certfile and keyfile, and would serve without TLS. Set these."
        )
    if cfg.refork_after:
        if not worker_class.can_become_template:
            raise ConfigError(
                f"{_given(cfg, 'refork_after')}: workers of the class {cfg.worker_class_str} cannot"
                " be copied while they serve. Use sync with one thread, or leave it out."
            )
        if not become_subreaper():
            raise ConfigError(f"{_given(cfg, 'refork_after')}: needs Linux. Leave it out.")
    if cfg.request_timeout and not limits_requests(worker_class):
        raise ConfigError(
            f"{_given(cfg, 'request_timeout')}: workers of the class {cfg.worker_class_str} work on"
            " many requests at a time, and nobody notes how long each lasts. Use sync or gthread,"
            " or leave it out."
        )
    if cfg.worker_max_memory and not can_weigh():
        raise ConfigError(
            f"{_given(cfg, 'worker_max_memory')}: this system has no /proc, which tells the memory"
            " of processes. Leave it out."
        )


def limits_requests(worker_class: type[Worker]) -> bool:
    """Whether it is known how long a request of such a worker lasts."""
    return any(
        getattr(worker_class, name, False) for name in ("serves_one_by_one", "limits_requests")
    )


def _uses_tls(worker_class: type[Worker]) -> bool:
    """Whether its connections are secured with the context that the `ssl_context` hook made."""
    return bool(getattr(worker_class, "uses_tls", False))


def can_weigh() -> bool:
    """Whether this system tells the memory of a process."""
    return os.path.exists("/proc/self/statm")


def _given(cfg: Config, name: str) -> str:
    setting = cfg.settings[name]
    return f"{name} = {setting.get()!r} ({setting.source})"
