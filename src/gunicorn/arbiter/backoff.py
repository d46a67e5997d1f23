"""When to try again after workers died young.

A worker that dies at boot would be replaced at once, and again, burning a core on importing a
broken application. The delay doubles from round to round instead. Workers are started several at
a time and fail together, so what fails while a delay runs belongs to the same round. Only a
worker that has served for a while ends the rounds: one that fails right after its boot has not.
"""

from __future__ import annotations

FIRST = 0.1
LONGEST = 5.0


class Backoff:
    """A delay in seconds that doubles from FIRST to LONGEST; `rounds` counts the failures."""

    def __init__(self) -> None:
        self.rounds = 0
        self.until = 0.0

    def failed(self, now: float) -> float:
        """Note a failure at monotonic time `now`; returns the seconds from now until a retry."""
        if now >= self.until:
            self.until = now + min(FIRST * 2**self.rounds, LONGEST)
            self.rounds += 1
        return self.until - now

    def succeeded(self) -> None:
        """Forget the failures."""
        self.rounds = 0
        self.until = 0.0

    def over(self, now: float) -> bool:
        """Whether workers may be started at monotonic time `now`."""
        return now >= self.until
