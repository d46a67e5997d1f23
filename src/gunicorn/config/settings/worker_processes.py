"""How many workers there are, of which kind, and how long they live."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration, Section
from gunicorn.config.settings.asgi import SETTINGS as ASGI
from gunicorn.config.settings.reliability import SETTINGS as RELIABILITY

SECTION = Section(
    "Worker Processes",
    (
        Declaration(
            name="workers",
            cli=("-w", "--workers"),
            meta="INT",
            validator=validators.worker_count,
            default=1,
            variable="WEB_CONCURRENCY",
            help="""
            The number of worker processes, or auto.

            `auto` starts one for each CPU that this process may use: those of its affinity, or
            fewer when the quota of its control group (a container's limit) is smaller. The log
            says how many, and why. The number is worked out anew when the configuration is read
            again (HUP).

            Two to four for each core is a good start where requests wait for something. The
            default is WEB_CONCURRENCY where that is set in the environment. TTIN and TTOU signals
            change the number while running.
            """,
        ),
        Declaration(
            name="worker_class",
            cli=("-k", "--worker-class"),
            meta="STRING",
            validator=validators.class_or_name,
            default="sync",
            help="""
            The kind of worker: sync, gthread, gevent, eventlet, tornado, or a class of your own.

            A class is named by a dotted path or by `egg:DISTRIBUTION#NAME`, or given itself in a
            configuration file. `sync` runs one request at a time in a process; with `threads`
            above 1 it means `gthread`.
            """,
        ),
        Declaration(
            name="threads",
            cli=("--threads",),
            meta="INT",
            validator=validators.integer(1),
            default=1,
            help="""
            The number of threads in each worker that run the application.

            Above 1, the worker class `sync` becomes `gthread`.
            """,
        ),
        Declaration(
            name="worker_connections",
            cli=("--worker-connections",),
            meta="INT",
            validator=validators.integer(1),
            default=1000,
            help="""
            The largest number of client connections that one worker holds.
            """,
        ),
        Declaration(
            name="max_requests",
            cli=("--max-requests",),
            meta="INT",
            validator=validators.natural,
            default=0,
            help="""
            Replace a worker after this many requests, against leaking memory.

            0, the default, never does. See `max_requests_jitter`.
            """,
        ),
        Declaration(
            name="max_requests_jitter",
            cli=("--max-requests-jitter",),
            meta="INT",
            validator=validators.natural,
            default=0,
            help="""
            Add a random number from 0 to this to `max_requests`, one for each worker.

            It keeps workers from being replaced all at once.
            """,
        ),
        Declaration(
            name="timeout",
            cli=("-t", "--timeout"),
            meta="INT",
            validator=validators.natural,
            default=30,
            help="""
            Seconds of silence after which a worker is killed and replaced.

            For the sync worker it bounds the time of a request. Sending a response to a slow
            client counts as life. A thread of gthread that is silent for so long is named in the
            log, and its worker is replaced; the request has `graceful_timeout` more to be
            finished. 0 lets workers, and threads, be silent forever.
            """,
        ),
        Declaration(
            name="graceful_timeout",
            cli=("--graceful-timeout",),
            meta="INT",
            validator=validators.natural,
            default=30,
            help="""
            Seconds that workers are given to finish their requests when they are to stop.

            Those that are still alive then are killed.
            """,
        ),
        Declaration(
            name="keepalive",
            cli=("--keep-alive",),
            meta="INT",
            validator=validators.natural,
            default=2,
            help="""
            Seconds that a connection is kept for a next request.

            0 closes every connection after its response. Behind a load balancer that keeps
            connections, choose more than its own time-out.
            """,
        ),
        *RELIABILITY,
        *ASGI,
        Declaration(
            name="http_parser",
            cli=("--http-parser",),
            meta="STRING",
            validator=validators.request_parser,
            default="auto",
            help="""
            Which implementation reads request heads: auto, fast or python.

            `fast` is compiled and must be part of the installation; `auto` takes it when it is,
            and `python` otherwise. Both do the same.
            """,
        ),
    ),
)
