"""What a worker that hangs tells of itself, on its way to being killed.

The arbiter sends SIGABRT. A worker that runs Python still, or waits in a system call, answers with
`report`: the requests in progress and the stack of every thread. One that is stuck in C code does
not get that far; for it faulthandler is armed on SIGURG, which writes the stacks from within the
signal handler, without running any Python, to the descriptor of the error log. (SIGURG does
nothing in a process that has not armed it.)
"""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
import time
import traceback
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker

DUMP_SIGNAL = signal.SIGURG


def install_dump(log: Any) -> None:
    """Have DUMP_SIGNAL write the stacks to the error log of now; call again when it is reopened."""
    faulthandler.register(DUMP_SIGNAL, file=_descriptor(log), all_threads=True, chain=False)


def report(worker: Worker, frame: FrameType | None) -> str:
    """The requests in progress and the stacks; `frame` is where the main thread was."""
    return "\n".join([f"Worker (pid:{worker.pid}) hangs: {_requests(worker)}", *_stacks(frame)])


def _requests(worker: Worker) -> str:
    now = time.monotonic()
    if not worker.tmp.booted:
        return "it has not booted"
    found = [
        f"{request.method} {request.uri} from {_client(peer)}"
        for request, peer in worker.requests_in_progress()
    ]
    since = worker.tmp.busy_since
    lasting = f" (for {now - since:.1f} s)" if since else ""
    return (", ".join(found) or "no request in progress") + lasting


def _client(peer: Any) -> str:
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "a unix socket"


def _stacks(main_frame: FrameType | None) -> list[str]:
    frames = sys._current_frames()
    main = threading.main_thread().ident
    lines = []
    for thread in threading.enumerate():
        frame = main_frame if thread.ident == main else frames.get(thread.ident or 0)
        lines.append(f"Thread {thread.name}:")
        lines += [line.rstrip() for line in traceback.format_stack(frame)]
    return lines


def _descriptor(log: Any) -> int:
    """Where the error log goes; standard error when that is no file."""
    for handler in getattr(getattr(log, "error_log", None), "handlers", ()):
        stream = getattr(handler, "stream", None)
        if stream is not None:
            try:
                return int(stream.fileno())
            except (OSError, ValueError, AttributeError):
                # A stream of somebody's own that is no file; perhaps the next is.
                continue
    return 2
