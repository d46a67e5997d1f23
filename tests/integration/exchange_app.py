"""An application that does everything an application may do, and much that it may not.

`test_exchanges` serves it by both implementations of the hot path and compares what they say.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

Start = Callable[..., Callable[[bytes], None]]
PAGES: dict[str, Callable[[dict[str, Any], Start], Any]] = {}


def app(environ: dict[str, Any], start: Start) -> Any:
    return PAGES[environ["PATH_INFO"]](environ, start)


def page(function: Callable[[dict[str, Any], Start], Any]) -> None:
    PAGES["/" + function.__name__] = function


def simple(name: str, status: Any, fields: Any, result: Any) -> None:
    """A page of a fixed answer; a function's result is made anew."""

    def answer(_environ: dict[str, Any], start: Start) -> Any:
        start(status, fields)
        return result() if callable(result) else result

    PAGES["/" + name] = answer


def length(size: int) -> list[tuple[str, str]]:
    return [("Content-Type", "text/plain"), ("Content-Length", str(size))]


def say(environ: dict[str, Any], text: str) -> None:
    """Into the error log, which is compared too."""
    environ["wsgi.errors"].write(f"app: {text}\n")
    environ["wsgi.errors"].flush()


HELLO = [b"hello"]
simple("hello", "200 OK", length(5), HELLO)
simple("no_length", "200 OK", [], HELLO)
simple("fields_in_tuple", "200 OK", (("X", "y"),), HELLO)
simple("own_fields", "200 OK", [("Date", "today"), ("Server", "mine"), ("X", "é")], HELLO)
simple("large_fields", "200 OK", [("X", "y" * 8000), ("Z", "y" * 8000)], HELLO)
simple("enormous_fields", "200 OK", [("X", "y" * 40_000)], HELLO)
simple("many_fields", "200 OK", [(f"X-{number}", "y") for number in range(300)], HELLO)
for code in ("204 No Content", "205 Reset Content", "304 Not Modified", "101 Switching Protocols"):
    simple(code[:3], code, [], [])
    simple(code[:3] + "_body", code, length(5), HELLO)
    simple(code[:3] + "_fields", code, [("X", "y")], HELLO)
simple("upgrade", "101 x", [("Upgrade", "x"), ("Connection", "upgrade")], HELLO)
simple("empty", "200 OK", [], [])
simple("empty_0", "200 OK", length(0), [])
simple("empty_block", "200 OK", [], [b""])
simple("empty_block_0", "200 OK", length(0), [b""])
simple("empty_5", "200 OK", length(5), [])
simple("short", "200 OK", length(10), HELLO)
simple("long", "200 OK", length(3), HELLO)
simple("two", "200 OK", length(10), HELLO * 2)
simple("two_no_length", "200 OK", [], HELLO * 2)
simple("tuple", "200 OK", length(5), (b"hello",))
simple("text", "200 OK", length(5), ["hello"])
simple("text_itself", "200 OK", length(5), "hello")
simple("bytes_itself", "200 OK", length(5), b"hello")
simple("none", "200 OK", length(5), None)
simple("bytearray", "200 OK", length(5), [bytearray(b"hello")])
for size in (16_384, 16_385, 32_000, 32_768, 1_000_000):
    simple(f"big_{size}", "200 OK", length(size), [b"x" * size])
    simple(f"big_{size}_no_length", "200 OK", [], [b"x" * size])
    simple(f"big_{size}_made", "200 OK", length(size), lambda size=size: iter([b"x" * size]))
    simple(
        f"big_{size}_halves",
        "200 OK",
        length(size * 2),
        lambda size=size: iter([b"x" * size, b"y" * size]),
    )
for name, blocks in {
    "one": [b"hello"], "several": [b"he", b"llo"], "none": [], "blank": [b"", b"hello"],
    "blank_last": [b"hello", b""], "more": [b"hello", b"more"], "long": [b"hello, hello"],
    "text": ["hello"], "null": [None], "fewer": [b"he"],
}.items():  # fmt: skip
    simple(f"made_{name}", "200 OK", length(5), lambda blocks=blocks: iter(blocks))
    simple(f"made_{name}_no_length", "200 OK", [], lambda blocks=blocks: iter(blocks))
for name, value in {
    "connection": "close", "keep-alive": "5", "transfer-encoding": "chunked", "te": "x",
    "upgrade": "y", "trailer": "z",
}.items():  # fmt: skip
    simple(f"hop_{name}", "200 OK", [(name, value), *length(5)], HELLO)
    simple(f"hop_{name}_made", "200 OK", [(name, value), *length(5)], lambda: iter(HELLO))
for name, (status, fields) in {
    "status": ("OK", []), "status_type": (200, []), "status_bytes": (b"200 OK", []),
    "status_100": ("100 Continue", []), "status_line": ("200 OK\r\nX: y", []),
    "name": ("200 OK", [("X Y", "z")]), "value": ("200 OK", [("X", "a\r\nb")]),
    "value_type": ("200 OK", [("X", 5)]), "field": ("200 OK", [("X",)]),
    "length": ("200 OK", [("Content-Length", "x")]), "fields": ("200 OK", None),
    "lengths": ("200 OK", [*length(5), ("Content-Length", "6")]),
    "wide": ("200 OK", [("X", "\u20ac")]),
}.items():  # fmt: skip
    simple(f"bad_{name}", status, fields, HELLO)


class Closing:
    """An iterable that says when it is closed."""

    def __init__(self, environ: dict[str, Any], blocks: list[Any], fails: bool = False) -> None:
        self.environ = environ
        self.blocks = blocks
        self.fails = fails

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.blocks)

    def close(self) -> None:
        say(self.environ, "closed")
        if self.fails:
            raise RuntimeError("close")


class ClosingList(list[bytes]):
    environ: dict[str, Any]

    def close(self) -> None:
        say(self.environ, "closed")


@page
def closed(environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))
    return Closing(environ, [b"hello"])


@page
def closed_no_length(environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", [])
    return Closing(environ, [b"he", b"llo"])


@page
def closed_badly(environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))
    return Closing(environ, [b"hello"], fails=True)


@page
def closed_after_text(environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))
    return Closing(environ, ["hello"])


@page
def closed_list(environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))
    result = ClosingList([b"hello"])
    result.environ = environ
    return result


@page
def not_started(environ: dict[str, Any], _start: Start) -> Any:
    return Closing(environ, [b"hello"])


@page
def not_started_list(_environ: dict[str, Any], _start: Start) -> Any:
    return [b"hello"]


@page
def started_late(_environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))
    yield b"hello"


@page
def raises(_environ: dict[str, Any], _start: Start) -> Any:
    raise ValueError("before")


@page
def raises_after(_environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))
    raise ValueError("after")


@page
def raises_at_once(_environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))
    return (1 // 0 for _ in (1,))


def raising(blocks: list[bytes]) -> Iterator[bytes]:
    yield from blocks
    raise ValueError("in between")


simple("cut_after_some", "200 OK", length(5), lambda: raising([b"he"]))
simple("cut_after_some_no_length", "200 OK", [], lambda: raising([b"he"]))
simple("cut_by_text", "200 OK", length(5), lambda: iter([b"hello", "x"]))
simple("cut_by_text_no_length", "200 OK", [], lambda: iter([b"hello", "x"]))
simple("cut_after_all", "200 OK", length(5), lambda: raising([b"hello"]))


@page
def starts_twice(_environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))
    start("201 Created", length(5))
    return HELLO


def try_again(start: Start, fields: list[tuple[str, str]]) -> None:
    try:
        int("again")
    except ValueError:
        start("500 Again", fields, sys.exc_info())


@page
def starts_again(_environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(500))
    try_again(start, length(5))
    return HELLO


@page
def cut_starts_again_too_late(_environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))(b"he")
    try_again(start, length(5))
    return HELLO


def restarting(fields: list[tuple[str, str]], blocks: list[bytes]) -> None:
    name = f"starts_again_{len(str(fields))}_{len(blocks)}"

    def answer(_environ: dict[str, Any], start: Start) -> Any:
        start("200 OK", length(5))

        def made() -> Iterator[bytes]:
            try_again(start, fields)
            yield from blocks

        return made()

    PAGES["/" + name] = answer


# With the first block the application changes its mind about the head, which may be a large one.
restarting(length(5), [b"hello"])
restarting([], [b"hello", b"hello"])
restarting([("X", "y" * 60_000), *length(5)], [b"hello"])
restarting([("X", "y" * 7_000)] * 8 + length(5), [b"hello"])
restarting([("Connection", "close"), *length(3)], [b"hello"])


@page
def writes(_environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))(b"hello")
    return []


@page
def writes_some(_environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))(b"he")
    return [b"llo"]


@page
def writes_and_makes(_environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))(b"he")
    return iter([b"llo"])


@page
def writes_no_length(_environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", [])(b"he")
    return [b"llo"]


@page
def writes_nothing(_environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))(b"")
    return HELLO


@page
def hints(environ: dict[str, Any], start: Start) -> Any:
    environ["wsgi.early_hints"]([("Link", "</x>")])
    start("200 OK", length(5))
    return HELLO


@page
def file(environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", [])
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))


@page
def file_in_part(environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(100))
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))


@page
def file_in_memory(environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", length(5))
    return environ["wsgi.file_wrapper"](io.BytesIO(b"hello"))


@page
def echo(environ: dict[str, Any], start: Start) -> Any:
    start("200 OK", [])
    return [environ["wsgi.input"].read()]


def dump(environ: dict[str, Any], start: Start) -> Any:
    """The environ as it is, in its order; what differs from connection to connection left out."""
    own = {"REMOTE_PORT", "SERVER_PORT", "gunicorn.socket", "wsgi.early_hints", "wsgi.errors"}
    told = [
        (name, type(value).__name__ if name.startswith("wsgi.") else value)
        for name, value in environ.items()
        if name not in own
    ]
    start("200 OK", length(len(repr(told))))
    return [repr(told).encode("ascii", "backslashreplace")]


PAGES = type("Pages", (dict,), {"__missing__": lambda self, name: dump})(PAGES)
