"""How workers are replaced: at a reload, when they hang, when they have grown, when all stop."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration

SETTINGS = (
    Declaration(
        name="reload_surge",
        cli=("--reload-surge",),
        meta="INT or SHARE",
        validator=validators.count_or_share,
        default=1,
        help="""
        How many workers there may be beyond `workers` while some are being replaced.

        A number, or a share of `workers` such as `25%` (rounded up, at least 1). A worker is
        retired when a successor has booted. Those that finish their last requests do not count.

        With 0 a worker is stopped first, and its successor started when it has gone, one after the
        other: for applications that hold something while they are loaded which only one process
        can have (a lock, a port). Where there is one worker, clients wait meanwhile. With
        `preload_app` a reload stops all workers, as the application is loaded once for all.
        `max_requests` and `worker_max_memory` find out by themselves: after two successors that
        failed to boot the old worker is stopped first.
        """,
    ),
    Declaration(
        name="boot_timeout",
        cli=("--boot-timeout",),
        meta="SECONDS",
        validator=validators.seconds(),
        default=0.0,
        help="""
        Seconds that a worker may take to boot, which includes loading the application.

        One that takes longer is killed; at a reload that calls the reload off. With 0, the
        default, `timeout` counts from the start, and with `preload_app` the template process that
        loads the application may take as long as it likes.
        """,
    ),
    Declaration(
        name="request_timeout",
        cli=("--request-timeout",),
        meta="SECONDS",
        validator=validators.seconds(),
        default=0.0,
        help="""
        Seconds that the application may spend on one request, even while it makes progress.

        The worker of a request that takes longer is killed and replaced, and the log says which
        request it was and where each thread stood. With gthread the successor is started first,
        and the worker ends when its other requests are done, after `graceful_timeout` at most.
        Requests are looked at once a second. The time that the rest of a response takes to leave
        does not count. For sync and gthread. 0, the default, sets no limit.
        """,
    ),
    Declaration(
        name="worker_max_memory",
        cli=("--worker-max-memory",),
        meta="BYTES",
        validator=validators.size(),
        default=0,
        help="""
        Resident memory, in bytes or as `512MB` or `2GB`, above which a worker is replaced.

        Its successor boots first, and one worker is replaced at a time. A worker that has 1.5
        times as much is killed at once. Memory that workers share counts for each of them. Read
        once a second from /proc, so Linux only. 0, the default, sets no limit.
        """,
    ),
    Declaration(
        name="refork_after",
        cli=("--refork-after",),
        meta="INT",
        validator=validators.natural,
        default=0,
        help="""
        After so many requests in one worker, fork all others anew from that worker, once.

        What the application filled while it warmed up (caches, compiled templates) is shared
        memory then. Happens once in a generation, so once after each reload. For the sync worker
        class, on Linux. The application must stand a fork while it serves: connections to
        databases and the like are to be opened in `post_fork`, or when first used in a process.
        0, the default, never does.
        """,
    ),
    Declaration(
        name="shutdown_delay",
        cli=("--shutdown-delay",),
        meta="SECONDS",
        validator=validators.seconds(),
        default=0.0,
        help="""
        Seconds that the server goes on serving after TERM before it stops.

        For load balancers and orchestrators that need time to notice. Meanwhile
        `gunicorn.util.stopping()` is true in the workers, so that a health check can fail. A
        second TERM ends the delay, as do INT and QUIT. There is none during an upgrade, where
        another arbiter goes on accepting.
        """,
    ),
)
