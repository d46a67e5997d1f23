"""Bytes in bulk, both ways, by path (N in MiB):

/body       1 MiB, one bytes object
/blocks/N   a generator of blocks of 64 KiB
/file/N     the file payload-N of the directory BENCH_FILES, through wsgi.file_wrapper
/upload     reads the request body in blocks of 64 KiB, answers its length
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

MIB = 1 << 20
BLOCK = b"x" * (64 << 10)
BODY = b"x" * MIB


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve the paths above; anything else is a 404."""
    _, kind, *rest = environ["PATH_INFO"].split("/")
    if kind == "body":
        begin(start_response, MIB)
        return [BODY]
    if kind == "blocks":
        size = int(rest[0]) * MIB
        begin(start_response, size)
        return blocks(size)
    if kind == "file":
        path = os.path.join(os.environ["BENCH_FILES"], f"payload-{int(rest[0])}")
        file = open(path, "rb")  # noqa: SIM115 - the server closes it, as PEP 3333 has it
        begin(start_response, os.fstat(file.fileno()).st_size)
        wrap = environ.get("wsgi.file_wrapper", wrap_in_python)
        return wrap(file, len(BLOCK))  # type: ignore[no-any-return]  # the server's own type
    if kind == "upload":
        received = b"%d" % count(environ["wsgi.input"])
        begin(start_response, len(received))
        return [received]
    start_response("404 Not Found", [("Content-Length", "0")])
    return [b""]


def begin(start_response: Callable[..., Any], length: int) -> None:
    """Start a response of `length` bytes."""
    start_response(
        "200 OK",
        [("Content-Type", "application/octet-stream"), ("Content-Length", str(length))],
    )


def blocks(size: int) -> Iterator[bytes]:
    """`size` bytes, 64 KiB at a time."""
    for _ in range(size // len(BLOCK)):
        yield BLOCK


def wrap_in_python(file: Any, block_size: int) -> Iterator[bytes]:
    """What PEP 3333 has an application do when the server brings no file_wrapper."""
    with file:
        while block := file.read(block_size):
            yield block


def count(body: Any) -> int:
    """How many bytes there are in the request body."""
    length = 0
    while block := body.read(len(BLOCK)):
        length += len(block)
    return length
