"""Where the listening sockets come from, and who may remove them.

There are three origins: the configuration (the arbiter binds them), a binary upgrade (the old
arbiter left their descriptors in GUNICORN_FD) and the service manager (systemd socket
activation). Whoever bound a unix socket removes its file; the service manager's is never removed,
also not by a later binary, so its origin is handed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gunicorn import sock, systemd
from gunicorn.arbiter import upgrade

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.glogging import Logger

CONFIGURED = "configuration"
SYSTEMD = "systemd"


class Listeners:
    """The sockets that are open, as `sockets`, and how they came to be."""

    def __init__(self) -> None:
        self.sockets: list[sock.Listener] = []
        self.origin = CONFIGURED

    def open(self, cfg: Config, log: Logger) -> None:
        """Take over the sockets that were handed down, or else bind those of `cfg`.

        Raises HaltServer when an address cannot be bound.
        """
        fds, origin = upgrade.inherited_fds()
        if fds:
            self.origin = origin or CONFIGURED
        else:
            fds = systemd.listen_fds(unset_environment=True)
            if fds:
                self.origin = SYSTEMD
        self.sockets = sock.create_listeners(cfg, log, fds or None)

    @property
    def lent(self) -> bool:
        """Whether the service manager keeps the sockets, and what waits at them, after us."""
        return self.origin == SYSTEMD

    def change(self, old: Config, new: Config, log: Logger) -> None:
        """Bind what `new` adds to `old`, and leave out of `sockets` what `new` no longer wants.

        What is left out stays open for the workers that serve it; `discard` it when they are
        gone. A set of sockets that the service manager gave does not change.
        """
        if self.origin == SYSTEMD or old.address == new.address:
            return
        added = [address for address in new.address if address not in old.address]
        # An address in use is not waited for: workers want to be watched, and HUP comes again.
        opened = sock.create_listeners(_Binding(new, added), log, tries=1) if added else []  # type: ignore[arg-type] # reads like a Config
        kept = [one for one in self.sockets if one.cfg_addr in new.address]
        self.sockets = kept + opened

    @staticmethod
    def discard(listener: sock.Listener, *, shared: bool) -> None:
        """Close a socket that `sockets` no longer has; its file goes too, unless `shared`."""
        sock.close_listeners([listener], unlink=not shared)

    def close(self, *, shared: bool) -> None:
        """Close every socket; the files of unix sockets go too, unless `shared` with another."""
        unlink = not shared and self.origin != SYSTEMD
        sock.close_listeners(self.sockets, unlink=unlink)
        self.sockets = []

    def __str__(self) -> str:
        # Several share an address with reuse_port.
        return ",".join(dict.fromkeys(str(one) for one in self.sockets))


class _Binding:
    """A configuration with other addresses."""

    def __init__(self, cfg: Config, address: list[Any]) -> None:
        self.cfg = cfg
        self.address = address

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cfg, name)
