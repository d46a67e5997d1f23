"""What green threads have made of the standard library in this process."""

from __future__ import annotations

import sys


def threads_are_green() -> bool:
    """Whether gevent or eventlet has put its own in place of the system's threads.

    The configuration file may have done so for whichever worker class it is used with.
    """
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    return bool(
        (gevent and gevent.is_module_patched("threading"))
        or (eventlet and eventlet.is_monkey_patched("thread"))
    )
