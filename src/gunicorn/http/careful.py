"""Request heads read line by line: the whole grammar, every limit and every permission.

The road for the few heads that `gunicorn.http.head` does not recognise at a glance. It accepts
exactly what the policy permits and otherwise raises the error of the first rule that is broken.
"""

from __future__ import annotations

import re
from typing import Any

from gunicorn.http.errors import (
    BareLineBreak,
    InvalidContentLength,
    InvalidHeader,
    InvalidHeaderName,
    InvalidHost,
    InvalidHTTPVersion,
    InvalidRequestLine,
    InvalidRequestMethod,
    InvalidRequestTarget,
    InvalidTransferEncoding,
    LimitRequestHeaders,
    LimitRequestLine,
    ObsoleteFolding,
    UnsupportedHTTPVersion,
    UnsupportedMethod,
    excerpt,
)
from gunicorn.http.policy import Policy

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
CONVENTIONAL_METHOD = re.compile(r"[^a-z#]{3,20}")
FIELD_CONTENT = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
VERSION = re.compile(r"HTTP/([0-9])\.([0-9])")
TARGET = re.compile(r'[!"$-~\x80-\xff]+')
ABSOLUTE_FORM = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://([^/?@\\:][^/?@\\]*)((?:/[^?]*)?)(?:\?(.*))?")
"""Neither userinfo nor an empty host, which are refused (RFC 9110, 4.2.1 and 4.2.4)."""

CGI_NAMES = {"CONTENT-TYPE": "CONTENT_TYPE", "CONTENT-LENGTH": "CONTENT_LENGTH"}


def meta_variable(name: str) -> str:
    """The CGI meta-variable of a field (RFC 3875, 4.1.18)."""
    upper = name.upper()
    return CGI_NAMES.get(upper) or "HTTP_" + upper.replace("-", "_")


def split_script_name(variables: dict[str, Any], script_name: str) -> None:
    """Divide the path between SCRIPT_NAME and PATH_INFO (RFC 3875, 4.1.5 and 4.1.13).

    A path that does not begin with `script_name` stays whole: a proxy has taken the prefix off.
    """
    path: str = variables["PATH_INFO"]
    prefix = variables["SCRIPT_NAME"] = script_name.rstrip("/")
    if path == prefix or path.startswith(prefix + "/"):
        variables["PATH_INFO"] = path[len(prefix) :]


class Head:
    """A request head in parts.

    `host` is the authority of an absolute-form target, which stands for Host (RFC 9112, 3.2.2).
    """

    script_name: str | None = None
    """SCRIPT_NAME as a trusted forwarder sent it."""

    def __init__(
        self,
        method: str,
        target: str,
        path: str,
        query: str,
        version: tuple[int, int],
        host: str | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.version = version
        self.host = host
        self.lines: list[tuple[str, str]] = []
        self.fields: dict[str, str] = {}
        self.repeated: dict[str, list[str]] = {}
        """The values of variables that have several; adding each to the others takes too long."""


def read_head(data: bytes, policy: Policy, trusted: bool) -> Head:
    """Read a whole head: `data` ends with the CRLF of its last line."""
    line_end = data.index(b"\n") + 1
    head = check_request_line(data[:line_end], policy)
    read_fields(head, data[line_end:], policy, trusted)
    return head


# The request line (RFC 9112, 3)


def check_request_line(line: bytes, policy: Policy) -> Head:
    """method SP request-target SP HTTP-version CRLF."""
    check_beginning(line[:1])
    if line[-2:] != b"\r\n" or b"\r" in line[:-2]:
        raise BareLineBreak(excerpt(line))
    if 0 < policy.limit_request_line < len(line) - 2:
        raise LimitRequestLine(f"{len(line) - 2} bytes, more than {policy.limit_request_line}")
    parts = line[:-2].decode("latin-1").split(" ")
    if len(parts) != 3:
        raise InvalidRequestLine(excerpt(line))
    method = read_method(parts[0], policy)
    version = read_version(parts[2], policy)
    return read_target(method, parts[1], version)


def check_beginning(first: bytes | bytearray) -> None:
    """No request line begins like this: TLS on a plain port, say, or a misplaced body."""
    if first and first not in b"\r\n" and not TOKEN.fullmatch(first.decode("latin-1")):
        raise InvalidRequestLine(f"it begins with {excerpt(first)}")


def read_method(method: str, policy: Policy) -> str:
    if not TOKEN.fullmatch(method):
        raise InvalidRequestMethod(excerpt(method))
    if policy.casefold_http_method:
        method = method.upper()
    if not policy.permit_unconventional_http_method and not CONVENTIONAL_METHOD.fullmatch(method):
        raise InvalidRequestMethod(excerpt(method))
    if method == "CONNECT":
        raise UnsupportedMethod(method)
    return method


def read_version(text: str, policy: Policy) -> tuple[int, int]:
    version = VERSION.fullmatch(text)
    if version is None:
        raise InvalidHTTPVersion(excerpt(text))
    major, minor = int(version[1]), int(version[2])
    if major != 1 or (minor > 1 and not policy.permit_unconventional_http_version):
        raise UnsupportedHTTPVersion(excerpt(text))
    return major, minor


def read_target(method: str, target: str, version: tuple[int, int]) -> Head:
    """origin-form, absolute-form, or asterisk-form for OPTIONS (RFC 9112, 3.2)."""
    if not TARGET.fullmatch(target):
        raise InvalidRequestTarget(excerpt(target))
    if target.startswith("/"):
        path, _, query = target.partition("?")
        return Head(method, target, path, query, version)
    absolute = ABSOLUTE_FORM.fullmatch(target)
    if absolute is not None:
        authority, path, query = absolute.groups()
        return Head(method, target, path or "/", query or "", version, host=authority)
    if target == "*" and method == "OPTIONS":
        return Head(method, target, "", "", version)
    raise InvalidRequestTarget(excerpt(target))


# Field lines (RFC 9112, 5)


def read_fields(head: Head, block: bytes, policy: Policy, trusted: bool) -> None:
    fields = group_lines(split_lines(block), policy)
    if len(fields) > policy.max_fields:
        raise LimitRequestHeaders(f"{len(fields)} fields, more than {policy.max_fields}")
    for lines in fields:
        size = sum(map(len, lines)) + 2 * (len(lines) - 1)
        if 0 < policy.limit_request_field_size < size:
            raise LimitRequestHeaders(
                f"a field of {size} bytes, more than {policy.limit_request_field_size}"
            )
        line = lines[0] if len(lines) == 1 else unfold(lines)
        name, value = read_field(line, policy)
        add_field(head, name, value, policy, trusted)
    for variable, values in head.repeated.items():
        separator = "; " if variable == "HTTP_COOKIE" else ","
        head.fields[variable] = separator.join(values)


def split_lines(block: bytes) -> list[str]:
    lines = block.split(b"\n")
    lines.pop()
    for line in lines:
        if line[-1:] != b"\r" or b"\r" in line[:-1]:
            raise BareLineBreak(excerpt(line))
    return [line[:-1].decode("latin-1") for line in lines]


def group_lines(lines: list[str], policy: Policy) -> list[list[str]]:
    """The lines of each field: one, or more where obs-fold (RFC 9112, 5.2) is permitted."""
    fields: list[list[str]] = []
    for line in lines:
        if not line.startswith((" ", "\t")):
            fields.append([line])
        elif fields and policy.permit_obsolete_folding:
            fields[-1].append(line)
        elif fields:
            raise ObsoleteFolding(excerpt(line))
        else:
            raise InvalidHeader(f"white space before the first field: {excerpt(line)}")
    return fields


def unfold(lines: list[str]) -> str:
    """Each obs-fold replaced by a space (RFC 9112, 5.2)."""
    return " ".join([lines[0].rstrip(" \t"), *(line.strip(" \t") for line in lines[1:])])


def read_field(line: str, policy: Policy) -> tuple[str, str]:
    """field-name ":" OWS field-value OWS."""
    name, colon, value = line.partition(":")
    if not colon:
        raise InvalidHeader(excerpt(line))
    if policy.strip_header_spaces:
        name = name.rstrip(" \t")
    if not TOKEN.fullmatch(name):
        raise InvalidHeaderName(excerpt(name))
    value = value.strip(" \t")
    if not FIELD_CONTENT.fullmatch(value):
        raise InvalidHeader(f"control character in the value of {excerpt(name)}")
    return name, value


def add_field(head: Head, name: str, value: str, policy: Policy, trusted: bool) -> None:
    """Put one field among the meta-variables, underscores and repetitions minded."""
    upper = name.upper()
    forwarder = upper in policy.forwarder_headers and trusted
    if "_" in name and not forwarder:
        if policy.header_map == "drop":
            return
        if policy.header_map == "refuse":
            raise InvalidHeaderName(f"underscore in {excerpt(name)}")
    head.lines.append((upper, value))
    variable = meta_variable(name)
    if variable == "HTTP_TRANSFER_ENCODING" and "_" in name:
        # No setting lets another name than the one that everybody knows frame a message.
        raise InvalidTransferEncoding(excerpt(name))
    if forwarder and upper == "SCRIPT_NAME":
        if head.script_name is not None:
            raise InvalidHeader("repeated SCRIPT_NAME")
        head.script_name = value
    if variable not in head.fields:
        head.fields[variable] = value
        return
    if variable == "HTTP_HOST":
        raise InvalidHost("repeated")
    if variable == "CONTENT_LENGTH":
        raise InvalidContentLength("repeated")
    head.repeated.setdefault(variable, [head.fields[variable]]).append(value)


# A head that is still arriving


def refuse_empty_line(data: bytes | bytearray, start: int) -> None:
    """One empty line is tolerated before a request line (RFC 9112, 2.2), not a second."""
    if data.startswith(b"\n", start) or (
        data.startswith(b"\r", start) and len(data) > start + 1 and data[start + 1] != 10
    ):
        raise BareLineBreak(excerpt(data[start : start + 80]))
    if data.startswith(b"\r\n", start):
        raise InvalidRequestLine("more than one empty line before it")


class PartialHead:
    """A head that comes in pieces.

    What can no longer become a valid head is refused at once, so that nobody waits for the rest of
    it. Every byte is looked at once, however small the pieces are.
    """

    __slots__ = ("data", "field_start", "fields", "line_start", "policy", "seen")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.data = bytearray()
        self.seen = 0
        """Bytes that have been looked at."""
        self.line_start = 0
        self.fields = -1
        """Whole lines, continuation lines not counted; -1 before the request line."""
        self.field_start = 0

    @property
    def is_blank(self) -> bool:
        """Whether nothing but an empty line has come."""
        return self.data == b"\r\n"

    def receive(self, data: bytes) -> bool:
        """Take more of the head; whether it is whole now. Raises the `HTTPError` of the rule."""
        collected = self.data
        collected += data
        while True:
            end = collected.find(b"\n", self.seen)
            if end < 0:
                break
            self.check_line_break(end)
            if self.end_line(end + 1):
                return True
        if self.seen < len(collected):
            self.check_line_break(len(collected) - 1)
            self.seen = len(collected)
        self.check_rest()
        return False

    def check_line_break(self, end: int) -> None:
        """No CR but before the LF at `end`, where the line may end or go on."""
        start = max(self.line_start, self.seen - 1)
        carriage_return = self.data.find(b"\r", start, end + 1)
        if self.data[end] == 10:
            fine = carriage_return == end - 1 and end > self.line_start
        else:
            fine = carriage_return < 0 or carriage_return == end
        if not fine:
            raise BareLineBreak(excerpt(self.data[self.line_start : end + 1]))

    def end_line(self, after: int) -> bool:
        """A line ends before `after`; whether it is the one that ends the head."""
        start, self.line_start, self.seen = self.line_start, after, after
        if self.fields < 0:
            if after - start == 2:
                if start:
                    refuse_empty_line(self.data, start)
                return False
            check_request_line(bytes(self.data[start:after]), self.policy)
            self.fields = 0
            self.field_start = after
            return False
        if after - start == 2:
            return True
        if self.data[start] not in b" \t":
            self.fields += 1
            self.field_start = start
        self.check_field_size(after - 2 - self.field_start)
        return False

    def check_field_size(self, size: int) -> None:
        if 0 < self.policy.limit_request_field_size < size:
            raise LimitRequestHeaders(
                f"a field of more than {self.policy.limit_request_field_size} bytes"
            )

    def check_rest(self) -> None:
        """What has come so far is within the limits."""
        policy = self.policy
        data = self.data
        rest = len(data) - self.line_start
        if self.fields < 0:
            check_beginning(data[self.line_start : self.line_start + 1])
            if 0 < policy.limit_request_line < rest - 1 or rest > policy.max_head:
                raise LimitRequestLine(f"more than {policy.limit_request_line or rest} bytes")
            return
        if self.fields > policy.max_fields or len(data) > policy.max_head + 2:
            raise LimitRequestHeaders("before their end was seen")
        # The line at hand may be a field of its own or go on with the one before it.
        start = self.line_start
        if data[start : start + 1] in (bytearray(b" "), bytearray(b"\t")):
            start = self.field_start
        self.check_field_size(len(data) - start - 1)
