"""The collector of cyclic garbage, kept out of the way of an application that is being loaded.

Importing makes objects by the ten thousand, and nearly all of them stay. The collector, which looks
for garbage each time some hundreds have been made, finds next to none and takes a tenth of the time
of an import. So it looks rarely meanwhile; and as what is there in the end is there for good, it
is told to leave that alone (gc.freeze), which makes each full collection of a serving worker short
and keeps the memory that is shared with other processes shared.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

LOADING_THRESHOLD = 50_000
"""Objects between two looks while loading; also about the most garbage that can stay for good."""


@contextmanager
def at_rest() -> Iterator[None]:
    """Collect rarely inside the block; then never look at what the block has left.

    An application that changes the thresholds, or switches the collector off, has its way. After
    an exception only the thresholds are what they were.
    """
    before = gc.get_threshold()
    during = (max(before[0], LOADING_THRESHOLD) if before[0] else 0, *before[1:])
    gc.set_threshold(*during)
    try:
        yield
    finally:
        if gc.get_threshold() == during:
            gc.set_threshold(*before)
    gc.freeze()
