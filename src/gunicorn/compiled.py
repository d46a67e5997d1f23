"""Which form of the hot path this process has: the compiled one or its Python twin.

The compiled modules are optional: an installation without a compiler has none, and
GUNICORN_PURE_PYTHON=1 in the environment keeps them from being built, and from being used.
"""

from __future__ import annotations

import functools
import importlib.util
import os

MODULES = (
    "gunicorn._libc",
    "gunicorn.http._chunks",
    "gunicorn.http._head",
    "gunicorn.http._response",
    "gunicorn.logs._line",
    "gunicorn.workers._exchange",
    "gunicorn.workers._lookout",
)


def available() -> bool:
    """Whether the compiled modules are installed and may be used."""
    if os.environ.get("GUNICORN_PURE_PYTHON") == "1":
        return False
    return _installed()


@functools.cache
def _installed() -> bool:
    # Once for all workers: a search in each would write to memory that they share.
    return all(importlib.util.find_spec(name) is not None for name in MODULES)


def parser_in_use(http_parser: str = "auto") -> str:
    """`fast` or `python`: what the setting `http_parser` amounts to here."""
    return "fast" if http_parser != "python" and available() else "python"
