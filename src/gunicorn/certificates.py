"""The certificate of a server, its key and its authorities, kept in memory while files change.

The arbiter looks at the files of the SSL settings once a second. What has changed and can be used
is put where all workers read it, who make their contexts of that (see workers/certificates.py);
what cannot be used is named in the log, and what was there before goes on. So a renewed
certificate serves from the next connection on, the pair that a worker takes is a pair, a new worker
boots although the files are broken at the moment, and the key may be root's alone though workers
are not root.

The place is an anonymous file (memfd_create(2)) of which workers have a descriptor to read from.
It begins with a digest of the rest, which tells them when that is another, and when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from gunicorn import tls
from gunicorn.errors import ConfigError

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.tls_files import Contents, Signature

NAMES = ("certfile", "keyfile", "ca_certs")
"""The settings whose files these are."""

PAUSE = 1.0
"""Seconds between two looks at the files."""

TRIES = 10
BETWEEN_TRIES = 0.001
"""How often a worker reads, and how many seconds it waits, while the arbiter writes."""

DIGEST = hashlib.sha256().digest_size
LENGTH = struct.Struct(">Q")


class Reader:
    """A worker's end: what the files of the settings hold."""

    def __init__(self, descriptor: int, paths: list[str]) -> None:
        self.descriptor = descriptor
        self.paths = paths

    def digest(self) -> bytes:
        """What is another when the contents are."""
        return os.pread(self.descriptor, DIGEST, 0)

    def read(self) -> tuple[bytes, Contents]:
        """The digest and the contents; raises OSError when whoever writes them has broken off."""
        for _ in range(TRIES):
            data = os.pread(self.descriptor, os.fstat(self.descriptor).st_size, 0)
            digest, rest = data[:DIGEST], data[DIGEST:]
            if hashlib.sha256(rest).digest() == digest:
                break
            # They are being written.
            sleep(BETWEEN_TRIES)
        else:
            raise OSError("the certificate was replaced by half")
        contents = {}
        for path in self.paths:
            (size,) = LENGTH.unpack_from(rest)
            contents[path] = rest[LENGTH.size : LENGTH.size + size]
            rest = rest[LENGTH.size + size :]
        return digest, contents


class Certificates:
    """The arbiter's end: the files that `cfg` names, as they were when they could last be used.

    Raises ConfigError when they cannot be used now.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        # Of now, should another configuration change the folder.
        self.paths = list(
            dict.fromkeys(os.path.abspath(path) for name in NAMES if (path := getattr(cfg, name)))
        )
        self.signatures = self._signatures()
        contents = self._read()
        self.checks = self._are_usable(contents)
        self.complaint = ""
        self.look_at = 0.0
        assert sys.platform == "linux"
        self.descriptor = os.memfd_create("gunicorn-certificates", os.MFD_CLOEXEC)
        # Nobody may open it anew to write, whatever process has a descriptor.
        os.fchmod(self.descriptor, 0o400)
        reading = os.open(f"/proc/self/fd/{self.descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        self.reader = Reader(reading, self.paths)
        self._publish(contents)

    def __del__(self) -> None:
        if hasattr(self, "reader"):
            self.let_go()
            os.close(self.reader.descriptor)

    def let_go(self) -> None:
        """In a process that is not the arbiter: keep what it takes to read."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def look(self, log: Any) -> None:
        """Take over what has changed, unless it cannot be used."""
        now = monotonic()
        if now < self.look_at or not self.paths:
            return
        self.look_at = now + PAUSE
        signatures = self._signatures()
        if signatures == self.signatures:
            # It was not one of the moments between the first and the last file.
            if self.complaint:
                log.error(
                    "The certificate has changed. %s The one before goes on, until the files"
                    " change again.", self.complaint,
                )  # fmt: skip
                self.complaint = ""
            return
        self.signatures = signatures
        self.complaint = ""
        try:
            contents = self._read()
            if self.checks:
                tls.check_contents(self.cfg, contents)
            is_new = self._publish(contents)
        except (ConfigError, OSError) as error:
            self.complaint = str(error)
            return
        if is_new:
            log.info("The certificate has changed: new connections get the one of now")

    def _signatures(self) -> list[Signature]:
        from gunicorn.tls_files import signature  # noqa: PLC0415 - it imports ssl, slowly

        try:
            return [signature(path) for path in self.paths]
        except PermissionError:
            # Reading them tells it better.
            return []

    def _read(self) -> Contents:
        from gunicorn.tls_files import read  # noqa: PLC0415 - it imports ssl, slowly

        contents = {}
        for path in self.paths:
            try:
                contents[path] = read(path)
            except OSError as error:
                raise ConfigError(f"{path!r} cannot be read: {error.strerror or error}.") from error
        return contents

    def _are_usable(self, contents: Contents) -> bool:
        """Whether they make a context; only an `ssl_context` hook has ways without that."""
        try:
            tls.check_contents(self.cfg, contents)
        except ConfigError:
            if not self.cfg.has_ssl_context_hook:
                raise
            return False
        return True

    def _publish(self, contents: Contents) -> bool:
        """Let workers have `contents`; False when they have them already."""
        rest = b"".join(LENGTH.pack(len(contents[path])) + contents[path] for path in self.paths)
        data = hashlib.sha256(rest).digest() + rest
        if os.pread(self.descriptor, DIGEST, 0) == data[:DIGEST]:
            return False
        os.pwrite(self.descriptor, data, 0)
        os.ftruncate(self.descriptor, len(data))
        return True


def keep(cfg: Config) -> Certificates | None:
    """What keeps the certificate that `cfg` names, if it names one and this system is able to.

    Raises ConfigError when it cannot be used.
    """
    if not cfg.is_ssl:
        return None
    from gunicorn.tls_files import CAN_LOAD_FROM_MEMORY  # noqa: PLC0415 - it imports ssl, slowly

    return Certificates(cfg) if CAN_LOAD_FROM_MEMORY else None
