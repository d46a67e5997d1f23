"""Response heads: from a status and fields to bytes, and how the body is delimited.

What a response says twice a second is said once: status lines are kept rendered, with the Server
and Date fields behind them, until the second is over, and so are the fields of responses. What an
application returns is checked for anything that could split a response (RFC 9112, 11.1) in bulk,
over the whole block of fields.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

NO_BODY, LENGTH, CHUNKED, CLOSE = range(4)
"""How the recipient finds the end of the body (RFC 9112, 6.3)."""

PLAIN, CONTENT_LENGTH, CONNECTION, HOP_BY_HOP, UPGRADE, DATE, SERVER = range(7)
"""What a field means to the server."""

BODILESS = (b"204", b"304", b"205")
"""Final responses without a body, whatever the method."""

KINDS = {
    "content-length": CONTENT_LENGTH,
    "connection": CONNECTION,
    "upgrade": UPGRADE,
    "keep-alive": HOP_BY_HOP,
    "proxy-authenticate": HOP_BY_HOP,
    "proxy-authorization": HOP_BY_HOP,
    "proxy-connection": HOP_BY_HOP,
    "te": HOP_BY_HOP,
    "trailer": HOP_BY_HOP,
    "trailers": HOP_BY_HOP,
    "transfer-encoding": HOP_BY_HOP,
    "date": DATE,
    "server": SERVER,
}

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
STATUS = re.compile(r"([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
LENGTH_VALUE = re.compile(r"[0-9]{1,18}")

MAX_NAMES = 1024
MAX_STATUS_LINES = 256
MAX_RESPONSES = 256
MAX_RESPONSE_FIELDS = 16


class InvalidResponse(ValueError):
    """An application returned a status or field that must not reach the wire."""


class FieldKinds(dict[str, int]):
    """Field name as applications write it -> kind; a name that is no token raises."""

    def __missing__(self, name: object) -> int:
        if not isinstance(name, str):
            raise InvalidResponse(f"field name {name!r} is not a str")
        if not TOKEN.fullmatch(name):
            raise InvalidResponse(f"invalid field name {name!r}")
        kind = KINDS.get(name.lower(), PLAIN)
        if len(self) < MAX_NAMES and type(name) is str:
            self[name] = kind
        return kind


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(now: float) -> str:
    """A time in seconds since the epoch as an HTTP-date (RFC 9110, 5.6.7)."""
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(now)
    return (
        f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04}"
        f" {hour:02}:{minute:02}:{second:02} GMT"
    )


class StatusLines(dict[str, bytes]):
    """Status -> status line, Server and Date, rendered; `refresh` when a new second begins."""

    def __init__(self, server: str) -> None:
        super().__init__()
        self.server = f"Server: {server}\r\n" if server else ""
        self.date = ""
        self.responses: dict[tuple[object, ...], Fields] = {}
        """Status and fields of responses of this second, rendered."""
        self.refresh()

    def refresh(self) -> None:
        """Take the time anew."""
        date = f"Date: {http_date(time.time())}\r\n"
        if date != self.date:
            self.date = date
            self.clear()
            self.responses.clear()

    def __missing__(self, status: str) -> bytes:
        line = self.render(status, self.server, self.date)
        if len(self) < MAX_STATUS_LINES:
            self[status] = line
        return line

    def render(self, status: str, server: str, date: str) -> bytes:
        """A status line with `server` and `date`, complete field lines or empty, behind it."""
        if not STATUS.fullmatch(status):
            raise InvalidResponse(f"invalid status {status!r}")
        gap = "" if " " in status else " "
        return f"HTTP/1.1 {status}{gap}\r\n{server}{date}".encode("latin-1")


class Fields:
    """The fields of a response, checked and rendered."""

    __slots__ = ("block", "close", "dropped", "length", "start", "upgrade")

    def __init__(
        self,
        start: bytes,
        block: str,
        length: int | None,
        close: bool,
        upgrade: bool,
        dropped: list[str] | None,
    ) -> None:
        self.start = start
        """Status line, Server and Date."""
        self.block = block
        self.length = length
        """Content-Length in bytes, where the application gives it."""
        self.close = close
        """Whether the application asks for the connection to be closed."""
        self.upgrade = upgrade
        """Whether this is 101 Switching Protocols."""
        self.dropped = dropped
        """Names of hop-by-hop fields that were left out."""


class ResponseRenderer:
    """Renders response heads; one for a process."""

    def __init__(self, server: str = "gunicorn") -> None:
        self.status_lines = StatusLines(server)
        self.kinds = FieldKinds()
        self.closing = False
        """Whether every connection ends with the response that it gets now."""

    def fields(self, status: str, fields: Iterable[tuple[str, str]]) -> Fields:
        """Check and render what an application gives to `start_response`.

        Raises `InvalidResponse` for a status or field that is not fit for the wire.
        """
        responses = self.status_lines.responses
        if type(fields) is not list or len(fields) > MAX_RESPONSE_FIELDS:
            return self.render(status, fields)
        key = (status, *fields)
        try:
            known = responses.get(key)
        except TypeError:
            # A field that is no tuple cannot be looked up.
            return self.render(status, fields)
        if known is None:
            known = self.render(status, fields)
            if len(responses) < MAX_RESPONSES:
                responses[key] = known
        return known

    def render(self, status: str, fields: Iterable[tuple[str, str]]) -> Fields:
        """See `fields`."""
        kinds = self.kinds
        lines: list[str] = []
        length: int | None = None
        dropped: list[str] | None = None
        close = own_date = own_server = False
        upgrade = status.startswith("101")
        for name, value in fields:
            kind = kinds[name]
            if not isinstance(value, str):
                raise InvalidResponse(f"value {value!r} of field {name!r} is not a str")
            if kind != PLAIN:
                # Of what is left out no less is asked than of what is sent.
                if "\r" in value or "\n" in value or "\0" in value:
                    raise InvalidResponse(f"CR, LF or NUL in the value {value!r} of {name}")
                if kind == CONTENT_LENGTH:
                    length = self.read_length(value, length)
                    continue
                if kind == CONNECTION:
                    options = value.lower().split(",")
                    close = close or "close" in [option.strip(" \t") for option in options]
                    if not upgrade:
                        continue
                elif kind == HOP_BY_HOP or (kind == UPGRADE and not upgrade):
                    dropped = [*(dropped or ()), name]
                    continue
                elif kind == DATE:
                    own_date = True
                elif kind == SERVER:
                    own_server = True
            lines.append(name + ": " + value + "\r\n")
        block = "".join(lines)
        count = len(lines)
        if block.count("\n") != count or block.count("\r") != count or "\0" in block:
            raise InvalidResponse(f"CR, LF or NUL in a field of {list(fields)!r}")
        if not block.isascii():
            self.check_latin(block)
        prefixes = self.status_lines
        if own_date or own_server:
            start = prefixes.render(
                status,
                "" if own_server else prefixes.server,
                "" if own_date else prefixes.date,
            )
        else:
            start = prefixes[status]
        return Fields(start, block, length, close, upgrade, dropped)

    def head(
        self,
        fields: Fields,
        method: str,
        version: tuple[int, int],
        keep_alive: bool,
        body_length: int | None,
    ) -> tuple[bytes, int, int | None, bool]:
        """Decide how the body is delimited and finish the head.

        `body_length` is the length of the body in bytes where it is known. Returns the head, how
        the body is delimited, its length if known, and whether the connection is kept.
        """
        length = fields.length
        delimiting = LENGTH
        code = fields.start[9:12]
        # What an interim response says of the connection would not be about its end.
        keep_alive = keep_alive and not (fields.close or (self.closing and code[0] != 49))
        if code in BODILESS or code[0] == 49:
            delimiting = NO_BODY
            if code != b"304":
                # RFC 9110, 15.3.6: of these, only 205 says that it is empty.
                length = 0 if code == b"205" else None
            if fields.upgrade:
                return fields.start + fields.block.encode("latin-1") + b"\r\n", CLOSE, None, False
        elif method == "HEAD":
            delimiting = NO_BODY
            length = length if length is not None else body_length or None
        elif length is None:
            if body_length is not None:
                length = body_length
            elif version >= (1, 1):
                delimiting = CHUNKED
            else:
                delimiting, keep_alive = CLOSE, False
        if length is not None:
            tail = f"Content-Length: {length}\r\n\r\n"
        elif delimiting == CHUNKED:
            tail = "Transfer-Encoding: chunked\r\n\r\n"
        else:
            tail = "\r\n"
        if not keep_alive:
            tail = "Connection: close\r\n" + tail
        elif version < (1, 1):
            tail = "Connection: keep-alive\r\n" + tail
        data = fields.start + (fields.block + tail).encode("latin-1")
        return data, delimiting, length, keep_alive

    @staticmethod
    def check_latin(block: str) -> None:
        try:
            block.encode("latin-1")
        except UnicodeEncodeError:
            raise InvalidResponse(
                f"a character outside ISO-8859-1 (PEP 3333) in the fields {block!r}"
            ) from None

    @staticmethod
    def read_length(value: str, before: int | None) -> int:
        if not LENGTH_VALUE.fullmatch(value):
            raise InvalidResponse(f"invalid Content-Length {value!r}")
        length = int(value)
        if before is not None and before != length:
            raise InvalidResponse(f"Content-Length {before} and Content-Length {length}")
        return length


def has_no_body(method: str, fields: Fields) -> bool:
    """Whether a final response of these fields ends with its head (RFC 9110, 6.4.1)."""
    return method == "HEAD" or fields.start[9:12] in BODILESS


def error_page(status: int, reason: str, detail: str = "") -> bytes:
    """A small HTML page; `detail` is escaped."""
    escaped = detail.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return (
        f"<!doctype html>\n<html><head><title>{status} {reason}</title></head>\n"
        f"<body><h1>{reason}</h1><p>{escaped}</p></body></html>\n"
    ).encode()


def chunk(data: bytes) -> bytes:
    """`data`, which is not empty, as one chunk (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
