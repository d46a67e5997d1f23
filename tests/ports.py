"""Free TCP ports, also while other test runs look for theirs.

A port that was only found to be free may be taken by somebody else before the server binds it, or
while it is restarted. So each is kept: a socket stays bound to it and never listens. With
SO_REUSEADDR, as servers have it, others may bind and listen beside such a socket; without, as
`free_port` tries, they may not.
"""

from __future__ import annotations

import random
import socket
from collections import deque

KEPT: deque[socket.socket] = deque()
MANY = 200
"""Ports kept at a time: more than any test uses, and few enough for the limit of descriptors."""


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port of `host` that nobody uses, from below the range that the kernel hands out.

    Bind it with SO_REUSEADDR.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(100):
        keeper = socket.socket(family)
        try:
            keeper.bind((host, random.randrange(10_000, 32_000)))
        except OSError:
            keeper.close()
            continue
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        KEPT.append(keeper)
        if len(KEPT) > MANY:
            KEPT.popleft().close()
        return int(keeper.getsockname()[1])
    raise RuntimeError(f"no free port on {host} between 10000 and 32000")
