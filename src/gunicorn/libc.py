"""Two functions of the C library that Python does not offer.

They are taken from a compiled module where there is one: `ctypes`, which serves elsewhere, costs
each process some milliseconds and more than half a megabyte.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

from gunicorn import compiled

PR_SET_CHILD_SUBREAPER = 36


def trimmer() -> Callable[[int], Any] | None:
    """malloc_trim(3), which gives free memory back to the system; None where there is none."""
    if compiled.available():
        from gunicorn import _libc  # noqa: PLC0415 - it may be missing

        return _libc.malloc_trim if _libc.CAN_TRIM else None
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes  # noqa: PLC0415 - not every build of Python has it

        function: Callable[[int], Any] = ctypes.CDLL(None).malloc_trim
        return function
    return None


def become_subreaper() -> bool:
    """Have orphaned descendants become children of this process; False where they cannot."""
    if not sys.platform.startswith("linux"):
        return False
    if compiled.available():
        from gunicorn import _libc  # noqa: PLC0415 - it may be missing

        return _libc.become_subreaper()
    import ctypes  # noqa: PLC0415 - rarely needed, and slow to import

    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
