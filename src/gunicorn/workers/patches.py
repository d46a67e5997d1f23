"""What green threads have made of the standard library in this process."""

from __future__ import annotations

import _thread
from types import BuiltinFunctionType


def threads_are_green() -> bool:
    """Whether a library (gevent, eventlet) has put its own in place of the system's threads.

    The configuration file may have had it do so, for whichever worker class it is used with.
    """
    return not isinstance(_thread.start_new_thread, BuiltinFunctionType)
