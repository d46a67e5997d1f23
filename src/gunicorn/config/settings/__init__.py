"""Every setting, one file a section."""

from __future__ import annotations

from gunicorn.config.declaration import Section
from gunicorn.config.settings import (
    clients,
    config_file,
    control,
    debugging,
    dirty,
    http2,
    logs,
    mechanics,
    process_naming,
    proxies,
    security,
    server_hooks,
    server_socket,
    tls,
    worker_processes,
)

SECTIONS: tuple[Section, ...] = (
    config_file.SECTION,
    control.SECTION,
    debugging.SECTION,
    dirty.HOOKS_SECTION,
    dirty.SECTION,
    http2.SECTION,
    logs.SECTION,
    process_naming.SECTION,
    tls.SECTION,
    security.SECTION,
    server_hooks.SECTION,
    Section("Server Mechanics", mechanics.SETTINGS + proxies.SETTINGS),
    server_socket.SECTION,
    clients.SECTION,
    worker_processes.SECTION,
)
"""The sections, in the order of the reference page."""
