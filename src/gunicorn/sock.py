"""The sockets that clients connect to.

The arbiter opens them once, before it forks, and every worker accepts from the same ones. There
are three ways to come by a listener: bind an address, take over a descriptor named in the
configuration (`fd://N`), or inherit one from a service manager or from the server that this one
succeeds. What is inherited is kept, as whoever passed it wants it served; configured addresses
are then matched against it, so that a successor binds nothing twice.

A listener is an ordinary socket object with an address to show. It does not block, as several
workers wake for one connection and all but one find it gone.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from gunicorn import tls, unix_path
from gunicorn.errors import ConfigError, HaltServer
from gunicorn.tls import ssl_context as ssl_context  # noqa: PLC0414 - users import it from here

if TYPE_CHECKING:
    from gunicorn.config import Config

Address = tuple[str, int] | str | int
"""A host and a port; the path of a unix socket; or the number of an open descriptor."""

TRIES = 5
"""How often an address that is in use is tried before giving up."""
MOST_LISTENERS = 48
"""The most listeners that `reuse_port` makes, all addresses together."""
RETRY_DELAY = 1.0
"""Seconds between two tries."""

_TRANSIENT = {errno.EADDRINUSE, errno.EADDRNOTAVAIL}


class Log(Protocol):
    """What is asked of a logger here."""

    def error(self, msg: str, *args: Any) -> None:
        """Log what keeps the server from listening."""

    def info(self, msg: str, *args: Any) -> None:
        """Log what is done about it."""


class Listener(socket.socket):
    """A listening socket; `str()` of it is the address that clients use.

    `cfg_addr` is the address as configured, `scheme` is "http" or "https".
    """

    FAMILY: ClassVar[socket.AddressFamily]

    cfg_addr: Address = ""
    scheme: str = "http"

    @property
    def sock(self) -> Listener:
        """The socket itself."""
        return self

    def unlink(self) -> None:
        """Remove what the listener left in the file system; nothing for TCP."""


class TCPListener(Listener):
    """Listens on IPv4."""

    FAMILY = socket.AF_INET

    def __str__(self) -> str:
        host, port = _host_and_port(self)
        return f"{self.scheme}://{host}:{port}"


class TCP6Listener(Listener):
    """Listens on IPv6."""

    FAMILY = socket.AF_INET6

    def __str__(self) -> str:
        host, port = _host_and_port(self)
        return f"{self.scheme}://[{host}]:{port}"


class UnixListener(Listener):
    """Listens on a path of the file system; `path` is absolute."""

    FAMILY = socket.AF_UNIX

    path: str = ""
    _inode: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"unix:{self.cfg_addr if isinstance(self.cfg_addr, str) else self.path}"

    def remember(self, path: str) -> None:
        """Take `path` for the place of this socket."""
        self.path = os.path.abspath(path)
        self._inode = unix_path.inode(self.path)

    def unlink(self) -> None:
        """Remove the path, unless another server has put its own socket there meanwhile."""
        if self._inode is not None and unix_path.inode(self.path) == self._inode:
            os.unlink(self.path)


def create_listeners(
    cfg: Config, log: Log, fds: Sequence[int] | None = None, tries: int = TRIES
) -> list[Listener]:
    """Open every address of the configuration, or take over the inherited descriptors `fds`.

    Of inherited listeners all are kept. Configured addresses beside them are bound only when one
    of them is among the inherited, which tells a predecessor with this configuration from a
    service manager that chose the addresses itself.

    With `reuse_port` a TCP address gets as many listeners as there are workers.

    An address in use is tried `tries` times, `RETRY_DELAY` seconds apart; then HaltServer with
    exit status 1. Raises ConfigError for everything that waiting does not mend. Either way nothing
    that was bound here stays behind.
    """
    if cfg.is_ssl:
        tls.check(cfg)
    listeners = [_adopt(fd, cfg) for fd in fds or ()]
    missing = _match(listeners, list(dict.fromkeys(cfg.address)))
    if listeners and len(missing) == len(set(cfg.address)):
        missing = []
    bound: list[Listener] = []
    try:
        for address in missing:
            bound.append(_open(address, cfg, log, tries))
        for first in [*bound] if cfg.reuse_port else ():
            bound += _more_like(first, cfg)
    except BaseException:
        close_listeners(bound, unlink=True)
        raise
    return listeners + bound


def close_listeners(listeners: Iterable[Listener], unlink: bool = True) -> None:
    """Close `listeners`; with `unlink` the paths of unix sockets are removed."""
    listeners = list(listeners)
    for listener in listeners:
        listener.close()
    if unlink:
        for listener in listeners:
            listener.unlink()


# Binding


def _open(address: Address, cfg: Config, log: Log, tries: int) -> Listener:
    if isinstance(address, int):
        return _adopt(address, cfg, address)
    for attempt in range(1, tries + 1):
        try:
            if isinstance(address, str):
                return _bind_unix(address, cfg)
            return _bind_tcp(address, cfg)
        except OSError as error:
            if not _may_pass(error):
                raise ConfigError(_explain(address, error)) from error
            if error.errno == errno.EADDRINUSE:
                log.error("Connection in use: %s", address)  # noqa: TRY400 - no fault of the code
            else:
                log.error("Connection to %s failed: %s", address, error)  # noqa: TRY400 - likewise
        if attempt < tries:
            log.info("Retrying in 1 second.")
            time.sleep(RETRY_DELAY)
    log.error("Can't connect to %s", address)
    raise HaltServer(f"Can't connect to {address}", 1)


def _bind_tcp(address: tuple[str, int], cfg: Config) -> Listener:
    family, target = _resolve(address)
    kind = TCP6Listener if family == socket.AF_INET6 else TCPListener
    listener: Listener = kind(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if cfg.reuse_port:
            _share_port(listener)
        listener.bind(target)
        listener.listen(cfg.backlog)
        return _ready(listener, address, cfg)
    except BaseException:
        listener.close()
        raise


def _bind_unix(path: str, cfg: Config) -> Listener:
    unix_path.check(path)
    listener = UnixListener(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        unix_path.clear(path)
        # Of the process and not of the thread; the arbiter has but one thread while it starts.
        previous = os.umask(cfg.umask)
        try:
            listener.bind(path)
        finally:
            os.umask(previous)
        listener.remember(path)
        if os.geteuid() == 0:
            unix_path.give_away(path, cfg.uid, cfg.gid)
        listener.listen(cfg.backlog)
        return _ready(listener, path, cfg)
    except BaseException:
        listener.close()
        listener.unlink()
        raise


def _ready(listener: Listener, address: Address, cfg: Config) -> Listener:
    listener.setblocking(False)
    listener.cfg_addr = address
    listener.scheme = "https" if cfg.is_ssl else "http"
    if listener.FAMILY != socket.AF_UNIX:
        # Accepted sockets inherit it on Linux and BSD, which saves a system call for each. A
        # response goes out in few writes, so there is nothing for Nagle's algorithm to gather.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _more_like(first: Listener, cfg: Config) -> list[Listener]:
    """Bind as many listeners to the address of `first` as make one for each worker with it.

    The kernel spreads connections over them. Every worker holds them all, so that what waits at
    one is not lost, and does not wait, when a worker is busy or ends.
    """
    if not isinstance(first.cfg_addr, tuple):
        return []
    count = min(cfg.workers, MOST_LISTENERS // len(cfg.address)) - 1
    listeners: list[Listener] = []
    try:
        for _ in range(count):
            listener = type(first)(first.family, socket.SOCK_STREAM)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _share_port(listener)
            listener.bind(first.getsockname())
            listener.listen(cfg.backlog)
            _ready(listener, first.cfg_addr, cfg)
    except BaseException:
        close_listeners(listeners)
        raise
    return listeners


def _share_port(listener: Listener) -> None:
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ConfigError("reuse_port: this platform has no SO_REUSEPORT. Leave it out.")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def _resolve(address: tuple[str, int]) -> tuple[int, tuple[str, int]]:
    """Return the family and the socket address of a host and port, IPv4 before IPv6."""
    host, port = address
    # The text of another script is encoded by IDNA; loading that for ASCII costs milliseconds.
    name = host.encode() if host.isascii() else host
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, target = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, target  # type: ignore[return-value]  # IPv6 has two numbers more


# Inheriting


def _adopt(fd: int, cfg: Config, address: Address | None = None) -> Listener:
    """Make a listener of an open descriptor, listening if it does not do so yet."""
    listener = _wrap(fd)
    try:
        _check_bound(listener)
        if isinstance(listener, UnixListener):
            listener.remember(listener.getsockname())
        listener.set_inheritable(False)
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listener.listen(cfg.backlog)
    except BaseException:
        # Not ours to close: whoever passed it may still use it.
        listener.detach()
        raise
    return _ready(listener, _own_address(listener) if address is None else address, cfg)


def _wrap(fd: int) -> Listener:
    kinds: tuple[type[Listener], ...] = (TCPListener, TCP6Listener, UnixListener)
    try:
        plain = socket.socket(fileno=fd)
    except OSError as error:
        raise ConfigError(
            f"bind: descriptor {fd} is not an open socket ({error.strerror})."
            " It must be passed on by whoever starts the server."
        ) from error
    family, kind = plain.family, plain.type
    plain.detach()
    for listener_class in kinds:
        if family == listener_class.FAMILY and kind == socket.SOCK_STREAM:
            return listener_class(family, kind, fileno=fd)
    raise ConfigError(
        f"bind: descriptor {fd} is a socket of {family.name}, {kind.name}; expected a stream"
        " socket of AF_INET, AF_INET6 or AF_UNIX."
    )


def _check_bound(listener: Listener) -> None:
    name = listener.getsockname()
    if not name or (listener.FAMILY != socket.AF_UNIX and name[1] == 0):
        raise ConfigError(
            f"bind: the socket of descriptor {listener.fileno()} is not bound to an address."
            " Bind it before passing it on."
        )


def _own_address(listener: Listener) -> Address:
    if isinstance(listener, UnixListener):
        return listener.path
    return _host_and_port(listener)


def _match(listeners: list[Listener], addresses: list[Address]) -> list[Address]:
    """Name inherited listeners by the configured addresses they serve; return the unserved."""
    unclaimed = list(listeners)
    missing = []
    for address in addresses:
        match = next((each for each in unclaimed if _serves(each, address)), None)
        if match is None:
            missing.append(address)
        else:
            match.cfg_addr = address
            unclaimed.remove(match)
    return missing


def _serves(listener: Listener, address: Address) -> bool:
    if isinstance(address, int):
        return listener.fileno() == address
    if isinstance(address, str):
        return isinstance(listener, UnixListener) and listener.path == os.path.abspath(address)
    if isinstance(listener, UnixListener):
        return False
    try:
        family, target = _resolve(address)
    except OSError:
        # It is reported when the address is bound.
        return False
    host, port = _host_and_port(listener)
    return family == listener.FAMILY and host == target[0] and address[1] in {0, port}


# What went wrong


def _may_pass(error: OSError) -> bool:
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    return error.errno in _TRANSIENT


def _explain(address: Address, error: OSError) -> str:
    reason = error.strerror or str(error)
    if isinstance(error, socket.gaierror):
        return f"bind: the host of {address} cannot be resolved: {reason}. Check its spelling."
    if isinstance(address, tuple) and error.errno in {errno.EACCES, errno.EPERM}:
        return (
            f"bind: may not listen on {address}: {reason}. Ports below 1024 need privileges: use a"
            " higher port, start as root with the user setting, or grant CAP_NET_BIND_SERVICE."
        )
    if isinstance(address, str):
        folder = os.path.dirname(os.path.abspath(address))
        return (
            f"bind: cannot make the unix socket {address!r}: {reason}."
            f" The folder {folder!r} must exist and be writable for user {os.geteuid()}."
        )
    return f"bind: cannot listen on {address}: {reason}."


def _host_and_port(listener: Listener) -> tuple[str, int]:
    if listener.fileno() == -1 and isinstance(listener.cfg_addr, tuple):
        return listener.cfg_addr
    host, port = listener.getsockname()[:2]
    return host, port
