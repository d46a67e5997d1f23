"""The `spew` setting: print every line of Python that the worker executes.

A last resort of debugging, for finding where a process hangs. It slows everything down by orders
of magnitude.
"""

from __future__ import annotations

import linecache
import sys
import threading
from types import FrameType
from typing import Any


def install() -> None:
    """Trace this thread and all threads started from now on."""
    threading.settrace(_trace)
    sys.settrace(_trace)


def _trace(frame: FrameType, event: str, _arg: Any) -> Any:
    if event == "line":
        module = frame.f_globals.get("__name__", "[unknown]")
        filename = frame.f_code.co_filename
        source = linecache.getline(filename, frame.f_lineno).rstrip()
        sys.stdout.write(f"{module}:{frame.f_lineno}: {source}\n")
        sys.stdout.flush()
    return _trace
