"""Limits with and without bounds, and whose word is believed."""

from __future__ import annotations

import pytest

from gunicorn.http.policy import UNLIMITED_FIELDS, UNLIMITED_HEAD, Policy, TrustedPeers


def test_the_largest_head_that_the_limits_allow() -> None:
    policy = Policy(limit_request_line=10, limit_request_fields=3, limit_request_field_size=5)
    assert policy.max_head == len("x" * 10 + "\r\n" + ("x" * 5 + "\r\n") * 3 + "\r\n")
    assert policy.max_fields == 3


def test_a_head_is_bounded_whatever_the_limits() -> None:
    assert Policy(limit_request_line=0).max_head == UNLIMITED_HEAD
    assert Policy(limit_request_field_size=0).max_head == UNLIMITED_HEAD
    assert Policy(limit_request_field_size=10**9).max_head == UNLIMITED_HEAD
    assert Policy(limit_request_fields=0).max_fields == UNLIMITED_FIELDS


@pytest.mark.parametrize(
    ("entries", "peer", "believed"),
    [
        (["127.0.0.1"], ("127.0.0.1", 1), True),
        (["127.0.0.1"], ("127.0.0.2", 1), False),
        (["127.0.0.0/8"], ("127.9.9.9", 1), True),
        (["10.1.2.3/8"], ("10.9.9.9", 1), True),
        (["::1"], ("::1", 1, 0, 0), True),
        (["fe80::/10"], ("fe80::1%eth0", 1, 0, 2), True),
        (["10.0.0.1"], ("::ffff:10.0.0.1", 1, 0, 0), True),
        (["::1"], ("127.0.0.1", 1), False),
        (["*"], ("8.8.8.8", 1), True),
        ([], ("127.0.0.1", 1), False),
        ([" ", "127.0.0.1 "], ("127.0.0.1", 1), True),
        ([], "", True),
        ([], ("not an address", 1), False),
    ],
)
def test_trusted_peers(entries: list[str], peer: object, believed: bool) -> None:
    assert (peer in TrustedPeers(entries)) is believed


@pytest.mark.parametrize("entry", ["localhost", "10.0.0.0/33", "10.0.0"])
def test_an_entry_that_is_no_network(entry: str) -> None:
    with pytest.raises(ValueError, match=entry):
        TrustedPeers([entry])
