"""What a server accepts: limits and permissions, worked out once at the start.

The protocol never reads the configuration. It gets one frozen `Policy`, in which each permissive
flag opens exactly one rule of RFC 9110 and RFC 9112 and every limit bounds one buffer.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

UNLIMITED_HEAD = 16 * 1024 * 1024
"""Bound, in bytes, on a request head where the user's limits set none: no buffer is without one."""

UNLIMITED_FIELDS = 32768
"""Bound on the number of fields where the user's limit sets none."""


class TrustedPeers:
    """The peers whose word about their clients is believed: addresses, networks or `*` for all.

    A peer without an IP address (a UNIX socket) is trusted: who may connect there is decided by
    the permissions of the socket's file.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        """Raises `ValueError` for an entry that is neither `*` nor an address or network."""
        names = [entry.strip() for entry in entries if entry.strip()]
        self.everyone = "*" in names
        self.networks = [ipaddress.ip_network(name, strict=False) for name in names if name != "*"]

    def __contains__(self, peer: object) -> bool:
        if self.everyone or not isinstance(peer, tuple):
            return True
        try:
            address = ipaddress.ip_address(peer[0].partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any(
            candidate in network
            for candidate in (address, mapped)
            if candidate is not None
            for network in self.networks
            if candidate.version == network.version
        )


NOBODY = TrustedPeers(())


class Policy(NamedTuple):
    """Limits in bytes or counts (0 means that the user wants none), and permissions."""

    limit_request_line: int = 4094
    limit_request_fields: int = 100
    limit_request_field_size: int = 8190
    limit_request_body: int = 0
    request_buffer_size: int = 1024 * 1024

    permit_obsolete_folding: bool = False
    strip_header_spaces: bool = False
    permit_unconventional_http_method: bool = False
    permit_unconventional_http_version: bool = False
    casefold_http_method: bool = False

    script_name: str = ""
    """The path at which the application is mounted, without a trailing slash."""

    header_map: Literal["drop", "refuse", "dangerous"] = "drop"
    forwarder_headers: frozenset[str] = frozenset({"SCRIPT_NAME", "PATH_INFO"})
    secure_scheme_headers: Mapping[str, str] = MappingProxyType({})
    forwarded_allow: TrustedPeers = NOBODY
    proxy_protocol: Literal["off", "v1", "v2", "auto"] = "off"
    proxy_allow: TrustedPeers = NOBODY

    @property
    def max_fields(self) -> int:
        """The most fields that a head, or a trailer section, may have."""
        return self.limit_request_fields or UNLIMITED_FIELDS

    @property
    def max_head(self) -> int:
        """The most bytes that a request head within the limits can have."""
        if not (self.limit_request_line and self.limit_request_field_size):
            return UNLIMITED_HEAD
        fields = self.max_fields * (self.limit_request_field_size + 2)
        return min(self.limit_request_line + fields + 4, UNLIMITED_HEAD)
