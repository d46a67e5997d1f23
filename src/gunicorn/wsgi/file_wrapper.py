"""`wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling")."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import Any


class FileWrapper:
    """An iterable over a file in blocks; returned as it is, the file is sent by the kernel."""

    def __init__(self, filelike: Any, blksize: int = 8192) -> None:
        """`blksize` is the number of bytes in a block when the file is iterated over."""
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data: bytes = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration

    def __getitem__(self, key: int) -> bytes:
        """The next block, for those that iterate by index; raises `IndexError` at the end."""
        data: bytes = self.filelike.read(self.blksize)
        if data:
            return data
        raise IndexError(key)

    def file_range(self) -> tuple[int, int, int] | None:
        """(descriptor, offset, bytes left) of a regular file; None when it is something else.

        Something else is, too, what has no size that could be believed: files of procfs have none
        though they can be read, and those of sysfs the size of a page.
        """
        file = self.filelike
        if type(file).__module__ == "tempfile":
            file = getattr(file, "file", None)
        if not isinstance(getattr(file, "raw", file), io.FileIO):
            # Whatever else has a descriptor may read something else than what is behind it, as
            # `gzip.GzipFile` does.
            return None
        try:
            descriptor = file.fileno()
            offset = file.tell()
            status = os.fstat(descriptor)
        except (AttributeError, OSError, ValueError):
            # A closed file has no descriptor, a pipe no position: reading says what is wrong.
            return None
        count = status.st_size - offset
        if not stat.S_ISREG(status.st_mode) or count <= 0:
            return None
        if not status.st_blocks and not has_byte(descriptor, status.st_size - 1):
            return None
        return descriptor, offset, count


def has_byte(descriptor: int, position: int) -> bool:
    """Whether there is a byte at `position` of a file."""
    try:
        return bool(os.pread(descriptor, 1, position))
    except OSError:
        # Reading it from the beginning says what is wrong.
        return False
