"""Lines sent to syslog (RFC 3164 framing: ``<priority>message``, NUL at the end).

Syslog being away is no reason to stop serving: a line that cannot be sent is lost, the socket is
made anew, at most once a second, and no send waits longer than `SEND_TIMEOUT`.
"""

from __future__ import annotations

import logging
import socket
import time

from gunicorn.errors import ConfigError

#: How long connecting and sending a line may take, in seconds.
SEND_TIMEOUT = 2.0
#: How long to leave a syslog alone that could not be reached, in seconds.
RECONNECT_DELAY = 1.0

FACILITIES = {
    "kern": 0,
    "user": 1,
    "mail": 2,
    "daemon": 3,
    "auth": 4,
    "security": 4,
    "syslog": 5,
    "lpr": 6,
    "news": 7,
    "uucp": 8,
    "cron": 9,
    "authpriv": 10,
    "ftp": 11,
    **{f"local{number}": 16 + number for number in range(8)},
}

# Severities of RFC 5424, table 2.
_CRITICAL, _ERROR, _WARNING, _INFORMATIONAL, _DEBUG = 2, 3, 4, 6, 7

#: A path, or a host and a port.
Address = str | tuple[str, int]


class SyslogHandler(logging.Handler):
    """Sends each record to the syslog at `address` by a socket of one of `kinds`.

    OSError when it cannot be reached at first; later troubles cost lines and are counted in `lost`.
    """

    def __init__(
        self, address: Address, kinds: tuple[socket.SocketKind, ...], facility: int
    ) -> None:
        super().__init__()
        self.address = address
        self.kinds = kinds
        self.facility = facility
        self.lost = 0
        self._retry_at = 0.0
        self._socket: socket.socket | None = self._connect()

    def _connect(self) -> socket.socket:
        """A connected socket: names are resolved here, and not again for each line."""
        last: OSError = OSError("no address found")
        for kind in self.kinds:
            for family, target in self._targets(kind):
                connection = socket.socket(family, kind)
                try:
                    connection.settimeout(SEND_TIMEOUT)
                    connection.connect(target)
                except OSError as error:
                    connection.close()
                    last = error
                else:
                    return connection
        raise last

    def _targets(self, kind: socket.SocketKind) -> list[tuple[int, Address]]:
        if isinstance(self.address, str):
            return [(socket.AF_UNIX, self.address)]
        found = socket.getaddrinfo(*self.address, type=kind)
        return [(entry[0], entry[4]) for entry in found]  # type: ignore[misc]  # IPv6 has 4 items

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:
            # A message that does not fit its arguments: logging prints where it was called.
            self.handleError(record)
            return
        priority = self.facility << 3 | _severity(record.levelno)
        self._send(f"<{priority}>{text}\0".encode("utf-8", "backslashreplace"))

    def _send(self, message: bytes) -> None:
        for _ in range(2):  # a connection found broken is made anew for the same line
            try:
                if self._socket is None:
                    if time.monotonic() < self._retry_at:
                        break
                    self._socket = self._connect()
                self._socket.sendall(message)
            except OSError:
                self._drop_connection()
            else:
                return
        self.lost += 1

    def _drop_connection(self) -> None:
        if self._socket is None:
            self._retry_at = time.monotonic() + RECONNECT_DELAY
        else:
            self._socket.close()
            self._socket = None

    def let_go(self) -> None:
        """Close the connection; `close` leaves it, as others than its owner call that (logging)."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.close()


def _severity(level: int) -> int:
    if level >= logging.CRITICAL:
        return _CRITICAL
    if level >= logging.ERROR:
        return _ERROR
    if level >= logging.WARNING:
        return _WARNING
    return _INFORMATIONAL if level >= logging.INFO else _DEBUG


def parse_address(address: str) -> tuple[Address, tuple[socket.SocketKind, ...]]:
    """Where to send and by which kinds of socket, from ``udp://HOST[:PORT]``,
    ``tcp://HOST[:PORT]`` or ``unix:///PATH[#dgram|#stream]``.

    The port is 514 by default; a path without a kind is tried with datagrams first. ConfigError on
    anything else.
    """
    scheme, separator, rest = address.partition("://")
    if scheme == "unix":
        path, _, kind = rest.partition("#")
        kinds: dict[str, tuple[socket.SocketKind, ...]] = {
            "": (socket.SOCK_DGRAM, socket.SOCK_STREAM),
            "dgram": (socket.SOCK_DGRAM,),
            "stream": (socket.SOCK_STREAM,),
        }
        if path and kind in kinds:
            return path, kinds[kind]
    elif scheme in ("udp", "tcp") and separator:
        host, port = _split_host_port(rest)
        if host and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
            kinds_of = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
            return (host, int(port)), (kinds_of,)
    raise ConfigError(
        f"syslog_addr: {address!r} is not an address. Use udp://HOST:PORT, tcp://HOST:PORT "
        "or unix:///PATH, the last with #dgram or #stream where the kind of socket matters."
    )


def _split_host_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest[1:] if rest.startswith(":") else ("" if rest else "514")
    host, separator, port = text.partition(":")
    return host, port if separator else "514"


def open_syslog(address: str, facility: str) -> SyslogHandler:
    """A handler for the settings syslog_addr and syslog_facility.

    ConfigError when the address is malformed, cannot be resolved or refuses the connection.
    """
    target, kinds = parse_address(address)
    number = FACILITIES.get(facility.lower())
    if number is None:
        known = ", ".join(sorted(FACILITIES))
        raise ConfigError(f"syslog_facility: {facility!r} is not one of {known}.")
    try:
        return SyslogHandler(target, kinds, number)
    except OSError as error:
        raise ConfigError(
            f"syslog_addr: cannot log to {address!r}: {error.strerror or error}. "
            "Start the syslog server, or take --log-syslog away."
        ) from error
