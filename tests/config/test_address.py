"""Addresses as people write them."""

from __future__ import annotations

import pytest

from gunicorn.config.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", ("localhost", 8000)),
        ("EXAMPLE.org:80", ("example.org", 80)),
        (":9", ("0.0.0.0", 9)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]", ("::1", 8000)),
        ("[::]:443", ("::", 443)),
        ("tcp://1.2.3.4:5", ("1.2.3.4", 5)),
        ("unix:/run/x.sock", "/run/x.sock"),
        ("unix:///run/x.sock", "/run/x.sock"),
        ("unix:rel.sock", "rel.sock"),
        ("fd://3", 3),
        (" 1.2.3.4:5 ", ("1.2.3.4", 5)),
    ],
)
def test_read(text: str, expected: Address) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "unix:",
        "fd://x",
        "fd://",
        "a:b",
        "a:",
        "a:-1",
        "a:65536",
        "[::1",
        "[]:1",
        "[::1]80",
        "fe80::1",
        "8000",
        "a:\u0661",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|brackets"):
        parse_address(text)
