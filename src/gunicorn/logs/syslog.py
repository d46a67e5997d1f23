"""Lines sent to syslog (RFC 3164 framing: ``<priority>message``, NUL at the end).

Syslog being away or busy is no reason to stop serving, nor to serve slowly: the socket does not
block. A line that cannot be sent is lost and counted, and when sending works again syslog is told
how many were. A syslog that is busy for a moment is waited for as the reader of a pipe is (see
`gunicorn.logs.unwaiting`). A connection that is broken, or takes nothing for long, is made anew in
the background, less and less often while that does not help. Names are resolved at the start; a
worker that has lost its connection has a thread resolve them again.
"""

from __future__ import annotations

import errno
import logging
import os
import socket

# As they are before a library of green threads replaces them: others would wait for its hub.
from _thread import start_new_thread
from socket import getaddrinfo
from socket import socket as Socket  # noqa: N812 - a class
from time import monotonic

from gunicorn.errors import ConfigError
from gunicorn.logs.unwaiting import Patience, complain

CONNECT_TIMEOUT = 2.0
"""Seconds that the first connection may take, at the start of the server."""
RECONNECT_DELAY = 1.0
"""Seconds between two attempts to connect; doubled after each in vain, up to `LONGEST_DELAY`."""
LONGEST_DELAY = 60.0
STALLED = 30.0
"""Seconds after which a connection that takes nothing is made anew."""

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

Address = str | tuple[str, int]
"""A path, or a host and a port."""
Target = tuple[int, int, Address]
"""What a socket is made and connected with: family, kind, address."""


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
        self._may_resolve = False
        self._targets = self._look_up()
        self._resolving_in = 0
        self._patience = Patience()
        self._rest = b""
        self._full_since = 0.0
        self._retry_at = 0.0
        self._delay = RECONNECT_DELAY
        self._socket: socket.socket | None = self._connect()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:
            # A message that does not fit its arguments.
            self.handleError(record)
            return
        priority = self.facility << 3 | _severity(record.levelno)
        message = f"<{priority}>{text}\0".encode("utf-8", "backslashreplace")
        if not self._send(message):
            self.lost += 1
        elif self.lost:
            lost, self.lost = self.lost, 0
            words = f"{lost} lines were lost, as this log could not be sent"
            self.emit(logging.makeLogRecord({"msg": words, "levelno": logging.WARNING}))

    def enter_worker(self) -> None:
        """Allow for a thread that resolves names; an arbiter, which forks, has none."""
        self._may_resolve = True

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - a name of logging's
        complain(record)

    def let_go(self) -> None:
        """Close the connection; `close` leaves it, as others than its owner call that (logging)."""
        self._disconnect()
        self.close()

    # Sending

    def _send(self, message: bytes) -> bool:
        """Whether `message` could be sent: a connection found broken is made anew for it, once."""
        for _ in range(2):
            if self._socket is None and not self._connect_again():
                return False
            try:
                self._put(message)
            except BlockingIOError:
                self._note_full()
                return False
            except OSError as error:
                if error.errno in {errno.EMSGSIZE, errno.ENOBUFS}:
                    # A fault of the message, or of the moment.
                    return False
                self._disconnect()
            else:
                self._full_since = 0.0
                self._delay = RECONNECT_DELAY
                return True
        return False

    def _put(self, message: bytes) -> None:
        """Send `message`, after what is left of one that was cut. BlockingIOError for no room."""
        assert self._socket is not None
        rest, self._rest = self._rest, b""
        data = rest + message
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            self._rest = rest
            if not self._patience.room(self._socket.fileno()):
                raise
            sent = self._socket.send(data)
        # A stream takes a part. What has begun must be finished before anything else is sent.
        if sent < len(rest):
            self._rest = rest[sent:]
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        self._rest = data[sent:]

    def _note_full(self) -> None:
        now = monotonic()
        if not self._full_since:
            self._full_since = now
        elif now - self._full_since > STALLED:
            self._disconnect()

    # Connecting

    def _look_up(self) -> list[Target]:
        """Where connecting may be tried, in this order. OSError when the host is not known."""
        if isinstance(self.address, str):
            return [(socket.AF_UNIX, kind, self.address) for kind in self.kinds]
        return [
            (entry[0], entry[1], entry[4])  # type: ignore[misc]  # IPv6 has four items
            for kind in self.kinds
            for entry in getaddrinfo(*self.address, type=kind)
        ]

    def _connect(self) -> socket.socket:
        """A connection at the start, which there is time for."""
        last: OSError = OSError("no address found")
        for family, kind, target in self._targets:
            connection = Socket(family, kind)
            try:
                connection.settimeout(CONNECT_TIMEOUT)
                connection.connect(target)
                connection.setblocking(False)
            except OSError as error:
                connection.close()
                last = error
            else:
                return connection
        raise last

    def _connect_again(self) -> bool:
        """Begin a connection, unless one was begun a short while ago; whether there is one."""
        now = monotonic()
        if now < self._retry_at:
            return False
        self._retry_at = now + self._delay
        self._delay = min(2 * self._delay, LONGEST_DELAY)
        self._resolve_again()
        for family, kind, target in self._targets[:]:
            connection = Socket(family, kind)
            connection.setblocking(False)
            # What is still being connected takes lines once it is.
            if connection.connect_ex(target) in {0, errno.EINPROGRESS}:
                self._socket = connection
                return True
            connection.close()
        return False

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            # The next time another address is tried first.
            self._targets = [*self._targets[1:], *self._targets[:1]]
        self._rest = b""
        self._full_since = 0.0

    def _resolve_again(self) -> None:
        if self._may_resolve and self._resolving_in != os.getpid():
            self._resolving_in = os.getpid()
            try:
                start_new_thread(self._resolve, ())
            except RuntimeError:
                # No thread to be had. The addresses known stay, and so does this mark.
                return

    def _resolve(self) -> None:
        try:
            self._targets = self._look_up()
        except OSError:
            # The addresses known are tried again, and so is this before the next connection.
            return
        finally:
            self._resolving_in = 0


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
