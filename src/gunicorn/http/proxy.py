"""The PROXY protocol, versions 1 (text) and 2 (binary): who the client behind a proxy is.

It comes once, before the first byte of a request. Only a peer that was named may send it. A
connection that begins with anything else is a direct one, a health check say, and is served under
its own address.
Reference: "The PROXY protocol", W. Tarreau, sections 2.1 and 2.2.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
from typing import NamedTuple

from gunicorn.http.errors import InvalidProxyHeader, InvalidProxyLine, excerpt

SIGNATURE_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
PREFIX_V1 = b"PROXY "
MAX_LINE_V1 = 107
MAX_HEADER_V2 = 16 + 4096
"""Bound on a version 2 header with its extensions (TLVs), which are skipped."""

LINE_V1 = re.compile(
    rb"PROXY (?:(UNKNOWN)(?: [^\r\n]*)?|(TCP4|TCP6) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+)"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n"
)


class ProxyInfo(NamedTuple):
    """What the proxy says; addresses are None where it does not say (UNKNOWN, LOCAL)."""

    protocol: str
    client_addr: str | None
    client_port: int | None
    proxy_addr: str | None
    proxy_port: int | None
    size: int
    """Bytes that the header takes."""


DIRECT = ProxyInfo("", None, None, None, None, 0)
"""A connection that does not come through a proxy."""


def announced_version(data: bytes, mode: str) -> int:
    """1 or 2 when `data` begins, as far as it goes, like a header of that version; 0 otherwise.

    `mode` is `v1`, `v2` or `auto` (either). A request may begin like a header for a few bytes: see
    `is_announced`.
    """
    if mode in ("v2", "auto") and SIGNATURE_V2.startswith(data[: len(SIGNATURE_V2)]):
        return 2
    if mode in ("v1", "auto") and PREFIX_V1.startswith(data[: len(PREFIX_V1)]):
        return 1
    return 0


def is_announced(data: bytes, version: int) -> bool:
    """Whether `data` is long enough to tell a header of `version` from a request."""
    return len(data) >= len(PREFIX_V1 if version == 1 else SIGNATURE_V2)


def read_proxy_header(data: bytes, version: int) -> ProxyInfo | None:
    """Read the header at the start of `data`; None when it is not whole yet."""
    return read_v1(data) if version == 1 else read_v2(data)


def read_v1(data: bytes) -> ProxyInfo | None:
    end = data.find(b"\n", 0, MAX_LINE_V1)
    if end < 0:
        if len(data) >= MAX_LINE_V1:
            raise InvalidProxyLine(f"no end of line within {MAX_LINE_V1} bytes")
        return None
    line = data[: end + 1]
    parts = LINE_V1.fullmatch(line)
    if parts is None:
        raise InvalidProxyLine(excerpt(line))
    if parts[1]:
        return ProxyInfo("UNKNOWN", None, None, None, None, len(line))
    family = 4 if parts[2] == b"TCP4" else 6
    source, destination = (read_address(text, family, line) for text in (parts[3], parts[4]))
    ports = [int(parts[5]), int(parts[6])]
    if max(ports) > 65535:
        raise InvalidProxyLine(excerpt(line))
    return ProxyInfo(parts[2].decode(), source, ports[0], destination, ports[1], len(line))


def read_address(text: bytes, family: int, line: bytes) -> str:
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        raise InvalidProxyLine(excerpt(line)) from None
    if address.version != family:
        raise InvalidProxyLine(excerpt(line))
    return str(address)


def read_v2(data: bytes) -> ProxyInfo | None:
    if len(data) < 16:
        return None
    version_command, family_protocol, length = struct.unpack_from("!BBH", data, 12)
    size = 16 + length
    if version_command >> 4 != 2 or version_command & 0x0F > 1:
        raise InvalidProxyHeader(f"version and command 0x{version_command:02x}")
    if size > MAX_HEADER_V2:
        raise InvalidProxyHeader(f"{size} bytes, more than {MAX_HEADER_V2}")
    if len(data) < size:
        return None
    if version_command & 0x0F == 0:
        return ProxyInfo("LOCAL", None, None, None, None, size)
    if family_protocol == 0x11:
        return addresses_v2(data, "TCP4", socket.AF_INET, 4, length)
    if family_protocol == 0x21:
        return addresses_v2(data, "TCP6", socket.AF_INET6, 16, length)
    if family_protocol in (0x00, 0x31):
        return ProxyInfo("UNKNOWN", None, None, None, None, size)
    raise InvalidProxyHeader(f"family and protocol 0x{family_protocol:02x}")


def addresses_v2(
    data: bytes, protocol: str, family: socket.AddressFamily, width: int, length: int
) -> ProxyInfo:
    if length < 2 * width + 4:
        raise InvalidProxyHeader(f"{length} bytes of addresses for {protocol}")
    source = socket.inet_ntop(family, data[16 : 16 + width])
    destination = socket.inet_ntop(family, data[16 + width : 16 + 2 * width])
    source_port, destination_port = struct.unpack_from("!HH", data, 16 + 2 * width)
    return ProxyInfo(protocol, source, source_port, destination, destination_port, 16 + length)
