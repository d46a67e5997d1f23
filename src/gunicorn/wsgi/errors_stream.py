"""`wsgi.errors` (PEP 3333): a text stream that ends in the server's error log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TextIO


class ErrorsStream:
    """Writes to the streams that the error log writes to at that moment.

    They are asked for each time, since a log may be reopened; without any, it is stderr.
    """

    encoding = "utf-8"

    def __init__(self, streams: Callable[[], Iterable[TextIO]]) -> None:
        self.streams = streams

    def write(self, text: str) -> int:
        for stream in list(self.streams()) or [sys.stderr]:
            stream.write(text)
            stream.flush()
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        for stream in list(self.streams()) or [sys.stderr]:
            stream.flush()
