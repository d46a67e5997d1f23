"""The worker classes that serve, with the options each is tested with.

Tests of what every worker class promises take the list from here.
"""

from __future__ import annotations

WORKER_CLASSES: dict[str, tuple[str, ...]] = {
    "sync": (),
    "gthread": ("--worker-class", "gthread", "--threads", "4"),
}
