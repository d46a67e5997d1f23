"""From settings to the protocol's policy and the time-outs, once at the start of a worker."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from gunicorn.http.policy import Policy, TrustedPeers

MAX_FIELDS = 32768


def http_policy(cfg: Any) -> Policy:
    """The `Policy` that the settings describe."""
    return Policy(
        limit_request_line=cfg.limit_request_line,
        limit_request_fields=min(cfg.limit_request_fields or MAX_FIELDS, MAX_FIELDS),
        limit_request_field_size=cfg.limit_request_field_size,
        limit_request_body=cfg.limit_request_body,
        request_buffer_size=cfg.request_buffer_size,
        permit_obsolete_folding=cfg.permit_obsolete_folding,
        strip_header_spaces=cfg.strip_header_spaces,
        permit_unconventional_http_method=cfg.permit_unconventional_http_method,
        permit_unconventional_http_version=cfg.permit_unconventional_http_version,
        casefold_http_method=cfg.casefold_http_method,
        script_name=cfg.root_path or os.environ.get("SCRIPT_NAME", ""),
        header_map=cfg.header_map,
        forwarder_headers=frozenset(name.upper() for name in cfg.forwarder_headers),
        secure_scheme_headers={
            name.upper(): value for name, value in cfg.secure_scheme_headers.items()
        },
        forwarded_allow=TrustedPeers(cfg.forwarded_allow_ips),
        proxy_protocol=cfg.proxy_protocol,
        proxy_allow=TrustedPeers(cfg.proxy_allow_ips),
    )


class Timeouts(NamedTuple):
    """Seconds that a connection may take for something."""

    header: float
    """From the first byte of a request head to its last."""
    body: float
    """The longest silence in a body."""
    min_body_rate: int
    """Bytes of a body for each second beyond that time."""
    send: float
    """The longest time without progress on a response."""
    keepalive: float
    """Between two requests."""


def connection_timeouts(cfg: Any) -> Timeouts:
    """The `Timeouts` that the settings describe."""
    return Timeouts(
        header=cfg.header_timeout,
        body=cfg.body_timeout,
        min_body_rate=cfg.min_body_rate,
        send=cfg.send_timeout,
        keepalive=float(cfg.keepalive),
    )
