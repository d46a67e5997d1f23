"""Requests made up at random, from a seed: mostly valid ones, then ones that are damaged."""

from __future__ import annotations

import random
from collections.abc import Iterator

TARGETS = [
    b"/", b"/a/b?c=d", b"/%41%zz?%20", b"*", b"http://h/p?q", b"http://u@h/", b"//x", b"/\xe9%20",
    b"?x", b"h:80", b"/a#b", b"HTTP://h", b"/a\\b", b"/a|b",
]  # fmt: skip
METHODS = [b"GET", b"POST", b"OPTIONS", b"get", b"X", b"CONNECT", b"PRI", b"G@T"]
VERSIONS = [b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.11"]
FIELDS = [
    b"Host: h", b"host:h:80", b"Host: a b", b"Host : h", b"Accept: */*", b"X-A: \t b \t",
    b"X_A: b", b"X-A:", b"Cookie: a=b", b"Connection: close", b"Connection: keep-alive",
    b"Expect: 100-continue", b"Expect: x", b"Content-Type: t/x", b"X: \xff\xe9", b" folded",
    b"Content-Length: 3", b"Content-Length: 0", b"Content-Length: 03", b"Content-Length: +3",
    b"Content-Length: 3, 3", b"Transfer-Encoding: chunked", b"Transfer-Encoding: Chunked",
    b"Transfer-Encoding: gzip, chunked", b"transfer-encoding: identity", b"X: a\x0bb", b": x",
    b"Transfer_Encoding: chunked", b"Upgrade: h2c", b"X-Forwarded-Proto: https",
]  # fmt: skip
BODIES = [
    b"", b"abc", b"abc\r\n", b"0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"3;a=b\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabc\r\n0\r\nT: u\r\n\r\n", b"3\nabc\n0\n\n", b"3\r\nabcd\r\n0\r\n\r\n", b"x\r\n",
    b"03\r\nabc\r\n1\r\nd\r\n00\r\n\r\n", b"3 \r\nabc\r\n0\r\n\r\n", b"0\r\nHost: x\r\n\r\n",
    b"3\r\nabc\r\n0\r\n\n",
]  # fmt: skip
SPOIL = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b";", b"_", b"\x7f", b"\xff", b"0", b",",
         b"@", b"%", b"\\", b"\r\n\r\n", b"\x0b"]  # fmt: skip


def requests(seed: int, count: int) -> Iterator[bytes]:
    """`count` pieces of input, the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        data = request(chance)
        if chance.random() < 0.3:
            data += request(chance)
        if chance.random() < 0.5:
            data = damage(data, chance)
        yield data


def request(chance: random.Random) -> bytes:
    likely = chance.random() < 0.6
    method = chance.choice(METHODS[:2] if likely else METHODS)
    target = chance.choice(TARGETS[:3] if likely else TARGETS)
    version = chance.choice(VERSIONS[:9] if likely else VERSIONS)
    fields = [chance.choice(FIELDS) for _ in range(chance.randrange(4))]
    if chance.random() < 0.9:
        fields.insert(chance.randrange(len(fields) + 1), b"Host: h")
    body = b""
    if chance.random() < 0.5:
        kind = chance.choice([b"Content-Length: 3", b"Transfer-Encoding: chunked"])
        fields.append(kind)
        body = chance.choice(BODIES[1:2] if b"Length" in kind else BODIES[3:])
    head = b"".join(field + b"\r\n" for field in fields)
    return b"%b %b %b\r\n%b\r\n%b" % (method, target, version, head, body)


def damage(data: bytes, chance: random.Random) -> bytes:
    """Insert, remove, replace or double something."""
    for _ in range(chance.choice([1, 1, 1, 2])):
        place = chance.randrange(len(data))
        kind = chance.randrange(4)
        spoiled = chance.choice(SPOIL)
        if kind == 0:
            data = data[:place] + spoiled + data[place:]
        elif kind == 1 and len(data) > 1:
            data = data[:place] + data[place + 1 :]
        elif kind == 2:
            data = data[:place] + spoiled + data[place + 1 :]
        else:
            data = data[: place + 3] + data[place:]
    return data
