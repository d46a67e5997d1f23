"""An application that does to its server what applications do, by the path of a request.

    /                  echoes the query, as that of `load`
    /child/WHAT        forks a child, which does WHAT; the parent answers
    /raise/NAME        raises that in the call
    /late/NAME         raises it in the response, after its first block
    /events            a stream without end
    /big               a response beyond what a socket takes
    /upload            reads the body

It is served by its text, and imports nothing of the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

CHILD_SLEEPS = 1.0
BIG = [b"b" * 100_000] * 60
EVENT = b"data: " + b"e" * 2000 + b"\n\n"

children: list[int] = []


class Odd(BaseException):
    """What no server expects."""


def timeout() -> BaseException:
    """What gevent raises for a timer that is due, where it serves."""
    gevent = sys.modules.get("gevent")
    return gevent.Timeout() if gevent is not None else Odd("no gevent")


RAISED: dict[str, Callable[[], BaseException]] = {
    "cancelled": asyncio.CancelledError,
    "generator": GeneratorExit,
    "interrupt": KeyboardInterrupt,
    "exit": lambda: SystemExit(3),
    "odd": Odd,
    "timeout": timeout,
    "error": lambda: RuntimeError("an error"),
}


def misbehave(what: str) -> None:
    """What a forked copy of the worker does; it may return, and go on as if it were the worker."""
    if what == "raise":
        raise RuntimeError("in the child")
    if what == "exit":
        sys.exit(0)
    if what == "odd":
        raise Odd("in the child")
    if what == "exec":
        os.execv("/no/such/tool", ["tool"])
    if what == "sleep":
        time.sleep(CHILD_SLEEPS)
        os._exit(0)
    if what == "double":
        if os.fork() == 0:
            time.sleep(CHILD_SLEEPS)
        os._exit(0)


def reap() -> None:
    """Collect the children that have ended."""
    for pid in list(children):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        with contextlib.suppress(ValueError):
            children.remove(pid)


def ends_when_told() -> bool:
    """Whether a process of multiprocessing ends when it is terminated."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
    process.start()
    process.terminate()
    process.join(5)
    if process.is_alive():
        process.kill()
        return False
    return True


def late(error: BaseException) -> Iterator[bytes]:
    yield b"x" * 10
    raise error


def events() -> Iterator[bytes]:
    while True:
        yield EVENT


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    kind, _, what = environ["PATH_INFO"].strip("/").partition("/")
    body = environ["QUERY_STRING"].encode()
    if kind == "child":
        reap()
        if what == "process":
            body = b"parent" if ends_when_told() else b"it does not end"
        else:
            pid = os.fork()
            if pid == 0:
                misbehave(what)
                body = b"child"
            else:
                children.append(pid)
                body = b"parent"
    elif kind == "raise":
        raise RAISED[what]()
    elif kind == "upload":
        while environ["wsgi.input"].read(65536):
            pass
    elif kind in ("late", "events", "big"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return late(RAISED[what]()) if kind == "late" else events() if kind == "events" else BIG
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Worker", str(os.getpid()))])
    return [body]
