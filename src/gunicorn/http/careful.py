"""Request heads read line by line: the whole grammar, every limit and every permission.

The road for the few heads that `gunicorn.http.head` does not recognise at a glance. It accepts
exactly what the policy permits and otherwise raises the error of the first rule that is broken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
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
ABSOLUTE_FORM = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://([^/?@\\]+)((?:/[^?]*)?)(?:\?(.*))?")
LONE_LF = re.compile(rb"(?<!\r)\n|^\n")

CGI_NAMES = {"CONTENT-TYPE": "CONTENT_TYPE", "CONTENT-LENGTH": "CONTENT_LENGTH"}


def meta_variable(name: str) -> str:
    """The CGI meta-variable of a field (RFC 3875, 4.1.18)."""
    upper = name.upper()
    return CGI_NAMES.get(upper) or "HTTP_" + upper.replace("-", "_")


def split_script_name(variables: dict[str, Any], script_name: str) -> None:
    """Divide the path between SCRIPT_NAME and PATH_INFO (RFC 3875, 4.1.5 and 4.1.13).

    A path that does not begin with `script_name` stays whole: a proxy has taken the prefix off.
    """
    variables["SCRIPT_NAME"] = script_name
    path: str = variables["PATH_INFO"]
    prefix = script_name.rstrip("/")
    if path == prefix or path.startswith(prefix + "/"):
        variables["PATH_INFO"] = path[len(prefix) :]


@dataclass
class Head:
    """A request head in parts."""

    method: str
    target: str
    path: str
    query: str
    version: tuple[int, int]
    host: str | None = None
    """The authority of an absolute-form target, which stands for Host (RFC 9112, 3.2.2)."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    script_name: str | None = None
    """SCRIPT_NAME as a trusted forwarder sent it."""


def read_head(data: bytes, policy: Policy, trusted: bool) -> Head:
    """Read a whole head: `data` ends with the CRLF of its last line."""
    line_end = data.index(b"\n") + 1
    head = check_request_line(data[:line_end], policy)
    read_fields(head, data[line_end:], policy, trusted)
    if head.host is not None:
        if "HTTP_HOST" in head.fields or head.version < (1, 1):
            head.fields["HTTP_HOST"] = head.host
    return head


# The request line (RFC 9112, 3)


def check_request_line(line: bytes, policy: Policy) -> Head:
    """method SP request-target SP HTTP-version CRLF."""
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
    lines = unfold(split_lines(block), policy)
    if len(lines) > policy.limit_request_fields:
        raise LimitRequestHeaders(f"{len(lines)} fields, more than {policy.limit_request_fields}")
    for line in lines:
        if 0 < policy.limit_request_field_size < len(line):
            raise LimitRequestHeaders(
                f"a field of {len(line)} bytes, more than {policy.limit_request_field_size}"
            )
        name, value = read_field(line, policy)
        add_field(head, name, value, policy, trusted)


def split_lines(block: bytes) -> list[str]:
    lines = block.split(b"\n")
    lines.pop()
    for line in lines:
        if line[-1:] != b"\r" or b"\r" in line[:-1]:
            raise BareLineBreak(excerpt(line))
    return [line[:-1].decode("latin-1") for line in lines]


def unfold(lines: list[str], policy: Policy) -> list[str]:
    """obs-fold (RFC 9112, 5.2): refused, or replaced by one space where it is permitted."""
    unfolded: list[str] = []
    for line in lines:
        if not line.startswith((" ", "\t")):
            unfolded.append(line)
        elif unfolded and policy.permit_obsolete_folding:
            unfolded[-1] = unfolded[-1].rstrip(" \t") + " " + line.strip(" \t")
        elif unfolded:
            raise ObsoleteFolding(excerpt(line))
        else:
            raise InvalidHeader(f"white space before the first field: {excerpt(line)}")
    return unfolded


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
    separator = "; " if variable == "HTTP_COOKIE" else ","
    head.fields[variable] += separator + value


# A head that is still arriving


def check_partial(data: bytes, start: int, policy: Policy) -> None:
    """Refuse what can no longer become a valid head, so that nobody waits for the rest of it."""
    size = len(data) - start
    line_end = data.find(b"\n", start)
    if line_end < 0:
        if 0 < policy.limit_request_line < size - 1 or size > policy.max_head:
            raise LimitRequestLine(f"more than {policy.limit_request_line} bytes")
        first = data[start : start + 1].decode("latin-1")
        if first and not TOKEN.fullmatch(first) and data[start:] != b"\r":
            raise InvalidRequestLine(excerpt(data[start : start + 40]))
        return
    check_request_line(data[start : line_end + 1], policy)
    if LONE_LF.search(data, line_end + 1):
        raise BareLineBreak(excerpt(data[line_end + 1 : line_end + 80]))
    if size > policy.max_head or data.count(b"\n", line_end + 1) > max(
        policy.limit_request_fields * (2 if policy.permit_obsolete_folding else 1), 1
    ):
        raise LimitRequestHeaders("before their end was seen")
    last_line = len(data) - max(data.rfind(b"\n"), start) - 1
    if 0 < policy.limit_request_field_size < last_line - 1:
        raise LimitRequestHeaders(f"a field of more than {policy.limit_request_field_size} bytes")
