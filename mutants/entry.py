"""An entry of the table: what is broken, what a user would notice, and who sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path("src/gunicorn")

TWINS = frozenset(
    {
        "http/head.py",
        "http/response.py",
        "workers/exchange.py",
        "logs/access.py",
        "workers/lookout.py",
        "libc.py",
    }
)
"""Files in whose place the compiled modules serve where there are any."""


class Stale(Exception):
    """An entry that does not fit the tree any more; the message says what to do."""


@dataclass(frozen=True)
class Mutation:
    """`old`, which is in `file` (below src/gunicorn) once, becomes `new`.

    `effect` is what a user would notice, `killers` are pytest's node ids of the tests that fail
    then; at least one must. What is `required` has to be killed, whatever share of all others is.
    """

    file: str
    old: str
    new: str
    effect: str
    killers: tuple[str, ...]
    required: bool = False

    @property
    def path(self) -> Path:
        """The file, from the root of the tree."""
        return PACKAGE / self.file

    @property
    def pure(self) -> bool:
        """Whether its killers run without the compiled modules."""
        return self.file in TWINS

    def mutated(self, text: str) -> str:
        """The `text` of the file with the fault in it; `Stale` when `old` is not there once."""
        count = text.count(self.old)
        if count != 1:
            raise Stale(
                f"{self.path}: this is there {count} times, and not once (when the code has"
                f" changed, change the entry; when it has gone, remove it):\n{self.old}"
            )
        if self.old == self.new:
            raise Stale(f"{self.path}: old and new are the same:\n{self.old}")
        return text.replace(self.old, self.new)

    def line(self, text: str) -> int:
        """The number of the line in `text` where it begins."""
        return text.count("\n", 0, text.index(self.old)) + 1
