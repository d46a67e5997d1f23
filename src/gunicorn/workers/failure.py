"""An application that cannot be loaded, as its developer should meet it.

Under `reload` a mistake at import must not end the server: the developer sees the traceback in
the browser, mends the file, and the reloader notices. For that the file with the mistake has to
be watched, though no module came of it and `sys.modules` does not know it.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

import gunicorn

_OUR_FILES = os.path.dirname(os.path.abspath(gunicorn.__file__)) + os.sep


class FailedApplication:
    """An application that answers every request with 500 and the text of an error.

    It speaks WSGI and, for worker classes of others, both versions of ASGI.
    """

    def __init__(self, text: str) -> None:
        self.body = f"The application cannot be loaded.\n\n{text}".encode(errors="replace")

    def __call__(self, environ: dict[str, Any], *calls: Callable[..., Any]) -> Any:
        """Answer as PEP 3333 has it when given `start_response`, otherwise as ASGI has it."""
        if len(calls) == 1:
            calls[0]("500 Internal Server Error", self.fields)
            return [self.body]
        if calls:
            return self.answer(environ, *calls)
        return functools.partial(self.answer, environ)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The fields of the response."""
        return [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(self.body))),
            ("Cache-Control", "no-store"),
        ]

    async def answer(
        self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        """Answer an HTTP request, refuse a WebSocket, and be started and stopped (ASGI 3)."""
        if scope["type"] == "lifespan":
            for _ in ("startup", "shutdown"):
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1011})
        else:
            fields = [(name.lower().encode(), value.encode()) for name, value in self.fields]
            await send({"type": "http.response.start", "status": 500, "headers": fields})
            await send({"type": "http.response.body", "body": self.body})


def describe(error: BaseException) -> str:
    """Return the traceback of `error`, beginning at the first frame of the user's own code."""
    return "".join(
        traceback.format_exception(type(error), error, from_user_code(error.__traceback__))
    )


def source_files(error: BaseException) -> list[str]:
    """Return the files whose change may mend `error`.

    They are those that its traceback runs through, the one that a SyntaxError names, and where a
    module is missing the places where it would be looked for. The errors it was raised from count
    as well.
    """
    found: dict[str, None] = {}
    for link in _chain(error):
        for frame, _ in traceback.walk_tb(link.__traceback__):
            found[frame.f_code.co_filename] = None
        if isinstance(link, SyntaxError) and link.filename:
            found[link.filename] = None
        if isinstance(link, ModuleNotFoundError) and link.name:
            found.update(dict.fromkeys(_module_candidates(link.name)))
    return [name for name in found if not _is_ours(name)]


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _module_candidates(name: str) -> list[str]:
    path = name.replace(".", os.sep)
    folders = [os.path.abspath(folder) for folder in sys.path if os.path.isdir(folder or ".")]
    return [
        os.path.join(folder, candidate)
        for folder in folders
        for candidate in (f"{path}.py", os.path.join(path, "__init__.py"))
    ]


def from_user_code(tb: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback that begins in the user's own code; None without any."""
    while tb is not None and _is_our_frame(tb.tb_frame):
        tb = tb.tb_next
    return tb


def _is_our_frame(frame: FrameType) -> bool:
    # Frames of compiled modules name a source file that need not be there.
    module = frame.f_globals.get("__name__") or ""
    return module.partition(".")[0] == "gunicorn" or _is_ours(frame.f_code.co_filename)


def _is_ours(filename: str) -> bool:
    # "<frozen importlib._bootstrap>" and the like are between our frames and the user's.
    return filename.startswith(("<", _OUR_FILES)) or os.sep + "importlib" + os.sep in filename


def stack_of(thread: int) -> str:
    """Where in the user's code the thread with this identifier is, as a traceback begins."""
    frame = sys._current_frames().get(thread)
    if frame is None:
        return "The thread has ended meanwhile."
    return "Stack (most recent call last):\n" + "".join(user_stack(frame).format()).rstrip()


def user_stack(frame: FrameType) -> traceback.StackSummary:
    """The stack from what the server called on; all of it while the server itself is at work."""
    stack = list(traceback.walk_stack(frame))
    called = list(itertools.takewhile(lambda pair: not _is_our_frame(pair[0]), stack))
    summary = traceback.StackSummary.extract(iter(called or stack))
    summary.reverse()
    return summary
