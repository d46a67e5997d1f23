"""The name a process shows in ps and top.

Only the `setproctitle` package can change it; without the package nothing happens, as the title
is a convenience and never a reason not to serve.
"""

from __future__ import annotations

from collections.abc import Callable

_setproctitle: Callable[[str], None] | None
try:
    from setproctitle import setproctitle as _setproctitle
except ImportError:
    _setproctitle = None


def set_title(title: str) -> None:
    """Show `title` as "gunicorn: TITLE", for example "gunicorn: worker [shop]"."""
    if _setproctitle is not None:
        _setproctitle(f"gunicorn: {title}")
