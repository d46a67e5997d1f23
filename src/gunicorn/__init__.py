"""A pre-fork WSGI server for UNIX.

A request travels app -> arbiter -> workers -> http -> wsgi; docs/architecture.md walks that road.
"""

from gunicorn.version import __version__

__all__ = ["SERVER", "SERVER_SOFTWARE", "__version__", "version_info"]

version_info: tuple[int, ...] = tuple(int(part) for part in __version__.split("."))

SERVER = "gunicorn"
"""The product name in the Server response field (RFC 9110, 10.2.4)."""

SERVER_SOFTWARE = f"{SERVER}/{__version__}"
"""The SERVER_SOFTWARE of a WSGI environ."""
