"""What TLS contexts are made of: the files that they load, and what stands in for these.

OpenSSL takes certificates and keys from files alone, and the code that makes a context may be a
hook's or another package's. So whoever must know which files it takes, or have it take what is in
memory in place of some, watches the methods of `ssl.SSLContext` that load them, while `Loading` is
entered.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Signature = tuple[int, ...] | None
"""What changes with a file: of another inode, another time or size; None when there is none."""

Contents = Mapping[str, bytes]
"""What is in files, by their absolute paths."""

LONGEST = 16 * 1024 * 1024
"""Bytes of the longest file that is taken for one of certificates."""

CAN_LOAD_FROM_MEMORY = sys.platform == "linux" and os.path.isdir("/proc/self/fd")
"""Whether there are files that are in memory alone and have a path (memfd_create(2))."""


def signature(path: str) -> Signature:
    """Tell a file from what is there later; symbolic links are followed, those on the way too.

    Raises PermissionError where this process may not look.
    """
    try:
        found = os.stat(path)
    except PermissionError:
        raise
    except OSError:
        return None
    return (
        found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    )  # fmt: skip


def read(path: str) -> bytes:
    """Return what is in a regular file; raises OSError for what is none, and what is too long."""
    # What has taken the place of a file, a pipe for one, must not make the server wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path!r} is no regular file")
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise OSError(f"{path!r} is longer than {LONGEST} bytes")
    return data


@contextlib.contextmanager
def in_memory(data: bytes) -> Iterator[str]:
    """The path of a file with `data` that is in no file system, while the context lasts."""
    assert sys.platform == "linux"
    descriptor = os.memfd_create("gunicorn-tls", os.MFD_CLOEXEC)
    with open(descriptor, "wb", buffering=0) as file:
        file.write(data)
        yield f"/proc/self/fd/{descriptor}"


class Loading:
    """While it is entered, notes which files contexts load; `contents` stands in for some of them.

    `loaded` is called with each context that has been given a certificate chain, and the path.
    """

    def __init__(
        self,
        contents: Callable[[], Contents],
        loaded: Callable[[Any, str], None] | None = None,
    ) -> None:
        self.contents = contents
        self.loaded = loaded
        self.files: dict[str, Signature] = {}
        """The files that were loaded from where they are, and how each was before."""
        self.kept = contextlib.ExitStack()

    def __enter__(self) -> Loading:
        owner = _owner()
        load_chain, load_authorities = owner.load_cert_chain, owner.load_verify_locations

        def load_cert_chain(
            context: Any, certfile: Any, keyfile: Any = None, password: Any = None
        ) -> None:
            with self.found(certfile) as certificate, self.found(keyfile) as key:
                load_chain(context, certificate, key, password)
            if self.loaded is not None:
                self.loaded(context, _absolute(certfile))

        def load_verify_locations(
            context: Any, cafile: Any = None, capath: Any = None, cadata: Any = None
        ) -> None:
            with self.found(cafile) as authorities:
                load_authorities(context, authorities, capath, cadata)

        self.kept.enter_context(_replaced(owner, "load_cert_chain", load_cert_chain))
        self.kept.enter_context(_replaced(owner, "load_verify_locations", load_verify_locations))
        return self

    def __exit__(self, *_: object) -> None:
        self.kept.close()

    @contextlib.contextmanager
    def found(self, path: Any) -> Iterator[Any]:
        """The path to load in place of `path`, which may be None."""
        if path is None:
            yield None
            return
        place = _absolute(path)
        data = self.contents().get(place)
        if data is not None:
            with in_memory(data) as standin:
                yield standin
            return
        try:
            self.files[place] = signature(place)
        except PermissionError:
            self.files[place] = None
        yield path


def _absolute(path: Any) -> str:
    return os.path.abspath(os.fsdecode(path))


def _owner() -> Any:
    """The class that every kind of context written in Python descends from.

    What has been patched for green threads is a subclass of it.
    """
    lineage = ssl.SSLContext.__mro__
    native = next(i for i, each in enumerate(lineage) if each.__module__ == "_ssl")
    return lineage[native - 1]


@contextlib.contextmanager
def _replaced(owner: Any, name: str, function: Callable[..., None]) -> Iterator[None]:
    before = owner.__dict__.get(name)
    setattr(owner, name, function)
    try:
        yield
    finally:
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
