"""The TLS context of a worker, which is made anew when what it was made of has changed.

Where the arbiter keeps the files of the settings (see gunicorn/certificates.py), contexts are made
of what it keeps, and a glance at a digest tells that this is another. An `ssl_context` hook may
load files of its own; which, is noted when it does, and they are looked at as well. Both happens
when a client has connected, once a second at most, before the handshake.

Worker classes of other packages make contexts of their own, once. Into these the new certificate is
loaded as they are, by a callback that OpenSSL calls at each handshake.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn import tls
from gunicorn.certificates import PAUSE, Reader
from gunicorn.tls_files import Contents, Loading, Signature, signature

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.workers.base import Worker


class Source:
    """What the files of the settings hold at the moment; without a `reader`, the files do."""

    def __init__(self, reader: Reader | None) -> None:
        self.reader = reader
        self.contents: Contents = {}
        self.version = b""
        """Of what `contents` are, or would be had they been of any use."""
        self.files: dict[str, Signature] = {}
        """The files that were read from where they are, as they were before."""

    def has_changed(self, log: Any) -> bool:
        """Whether a context would be another since this was asked, or one was made."""
        version = self.reader.digest() if self.reader is not None else b""
        changed = version != self.version
        self.version = version
        for path, before in list(self.files.items()):
            try:
                found = signature(path)
            except PermissionError:
                log.warning(
                    "User %d may not look at %s: when it changes, that is of no effect before a"
                    " reload (SIGHUP).", os.geteuid(), path,
                )  # fmt: skip
                del self.files[path]
                continue
            if found != before:
                self.files[path] = found
                changed = True
        return changed

    def load(self, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """Return what `make` makes of the files as they are now."""
        if self.reader is not None:
            self.version, self.contents = self.reader.read()
        with Loading(lambda: self.contents) as loading:
            try:
                return make()
            finally:
                self.files |= loading.files


class CurrentContext:
    """Call it for the context that the next client is to be met with.

    Raises what makes it impossible to have a first one; later that is logged, and the context
    before goes on.
    """

    def __init__(self, cfg: Config, log: Any, reader: Reader | None) -> None:
        self.cfg = cfg
        self.log = log
        self.source = Source(reader)
        self.context = self.make()
        self.look_at = monotonic() + PAUSE

    def __call__(self) -> ssl.SSLContext:
        now = monotonic()
        if now >= self.look_at:
            self.look_at = now + PAUSE
            if self.source.has_changed(self.log):
                self.renew()
        return self.context

    def make(self) -> ssl.SSLContext:
        """A context of the files as they are now."""
        return self.source.load(lambda: tls.ssl_context(self.cfg))

    def renew(self) -> None:
        """Make the context anew, if that is possible."""
        try:
            self.context = self.make()
        except Exception as error:
            self.log.error(  # noqa: TRY400 - of a file, or of the hook, and of no code of ours
                "TLS cannot use the files that have changed: %s: %s. What was loaded before goes"
                " on, until they change again; a reload (SIGHUP) loads them with the rights of the"
                " master.", type(error).__name__, error,
            )  # fmt: skip
        else:
            self.log.debug("The TLS context was made anew")


def current(worker: Worker) -> CurrentContext:
    """What `worker` has to ask for contexts; ConfigError when files or hook do not give one."""
    made = CurrentContext(worker.cfg, worker.log, worker.certificates)
    if not worker.uses_tls and worker.cfg.certfile:
        Renewal(made).install()
    return made


class Renewal:
    """Has contexts that other packages make of the settings' certificate keep up with it.

    Install it before they do. Authorities that are not in `ca_certs` any more stay trusted there
    until a reload, as nothing takes them out of a context.
    """

    def __init__(self, current: CurrentContext) -> None:
        self.current = current
        self.cfg = current.cfg

    def install(self) -> None:
        """From now on, for as long as the process lives."""
        source = self.current.source
        Loading(lambda: source.contents, self.loaded).__enter__()

    def loaded(self, context: Any, certfile: str) -> None:
        """A context has been given a certificate."""
        if certfile != os.path.abspath(self.cfg.certfile) or context.sni_callback is not None:
            return
        of = self.current.context

        def meet(sock: Any, _name: str | None, _context: Any) -> None:
            """A client has said whom it wants to talk to, or not said it."""
            nonlocal of
            now = self.current()
            if now is of:
                return
            of = now
            self.renew(context)
            # The connection has taken the certificate that was there when it was made. It takes
            # the one of a context that it is given, and of no other than it has already.
            sock.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            sock.context = context

        context.sni_callback = meet

    def renew(self, context: Any) -> None:
        """Load what can be used, as `current` has shown."""
        context.load_cert_chain(self.cfg.certfile, self.cfg.keyfile or None)
        if self.cfg.ca_certs:
            context.load_verify_locations(self.cfg.ca_certs)
        self.current.log.debug("The new certificate was loaded into a TLS context")
