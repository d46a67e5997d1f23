"""What a worker may need late is imported early, in the arbiter.

Some modules are imported where they are first needed: they are slow, or rarely of use. In a worker
that may be too late. It has dropped its privileges, and the user that it has become may not read
the installation (a virtual environment in somebody's home); or the package has been upgraded in
place, and a worker that began with the old modules would go on with the new ones. What is imported
in the arbiter is there in every process that it forks.

Those of the package are always loaded. Those of the standard library, which cost more, are loaded
where the user changes.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from gunicorn import compiled

if TYPE_CHECKING:
    from gunicorn.config import Config

OWN = ("gunicorn.app.loading", "gunicorn.workers.refusal", "gunicorn.workers.spew")
"""Modules of this package that code of a worker imports in a function."""

COMPILED = ("gunicorn._libc", "gunicorn.workers._lookout")
"""The same where the compiled modules are in use."""

TLS = ("gunicorn.tls_files", "gunicorn.workers.certificates", "gunicorn.workers.tls")
"""The same where connections are secured."""

STANDARD = (
    "ast",
    "base64",
    "ctypes",
    "datetime",
    "difflib",
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "inspect",
    "json.encoder",
    "linecache",
    "pkgutil",
    "random",
    "ssl",
    "tempfile",
    "tokenize",
    "traceback",
)
"""Modules of the standard library that those of this package, or such modules, import so."""


def load(cfg: Config) -> None:
    """Import what workers of `cfg` may need; what is missing in this Python is left out."""
    names = [*OWN, *(COMPILED if compiled.available() else ()), *(TLS if cfg.is_ssl else ())]
    for name in names:
        importlib.import_module(name)
    standard = STANDARD if os.geteuid() != cfg.uid else ()
    for name in (*standard, *getattr(cfg.worker_class, "late_modules", ())):
        _try(name)


def _try(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError:
        # Not every build of Python has all of them, and whoever needs one can do without.
        return
