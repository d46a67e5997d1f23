"""How long clients may take, and how much of what they send and read is kept for them.

With these bounds a slow client costs a buffer and never a worker. The defaults are such that a
client which means well does not meet them.
"""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration, Section

MIB = 1024 * 1024

SECTION = Section(
    "Slow Clients",
    (
        Declaration(
            name="header_timeout",
            cli=("--header-timeout",),
            meta="SECONDS",
            validator=validators.seconds(0.1),
            default=30.0,
            help="""
            Seconds for a whole request head, from its first byte to its last.

            A client that takes longer is answered with 408. A new connection has the same time
            to send its first byte, or to shake hands for TLS, and is closed after it.
            """,
        ),
        Declaration(
            name="body_timeout",
            cli=("--body-timeout",),
            meta="SECONDS",
            validator=validators.seconds(0.1),
            default=30.0,
            help="""
            The longest silence in a request body, in seconds.

            A client that is silent for longer is answered with 408. Where the application is
            reading the body at that moment, its read raises an error, which is a TimeoutError.
            """,
        ),
        Declaration(
            name="min_body_rate",
            cli=("--min-body-rate",),
            meta="BYTES",
            validator=validators.size(),
            default=256,
            help="""
            The least number of bytes a second of a request body, after its first seconds.

            It is an average over the time that the server waits for the body, of which the first
            `body_timeout` seconds are free. A client that
            falls below is treated as one that is silent. 0 sets no rate.
            """,
        ),
        Declaration(
            name="send_timeout",
            cli=("--send-timeout",),
            meta="SECONDS",
            validator=validators.seconds(0.1),
            default=30.0,
            help="""
            The longest time without progress on a response, in seconds.

            The connection of a client that reads nothing for longer is cut.
            """,
        ),
        Declaration(
            name="request_buffer_size",
            cli=("--request-buffer-size",),
            meta="SIZE",
            validator=validators.size(),
            default=MIB,
            help="""
            How much of a request body is kept in memory, in bytes; `512K` and `1M` are understood.

            The application is called when the whole body is there. A larger one waits for its
            end in a temporary file, see `request_spool_size`.
            """,
        ),
        Declaration(
            name="request_spool_size",
            cli=("--request-spool-size",),
            meta="SIZE",
            validator=validators.size(),
            default=1024 * MIB,
            help="""
            How much of a request body is kept in a temporary file (`tmp_upload_dir`), in bytes.

            The application is called when the whole body is there. Of a larger one the rest is
            read while the application runs, which occupies the worker for as long as the client
            takes; `limit_request_body` keeps such bodies out. 0 puts nothing in files: bodies
            above `request_buffer_size` are then read while the application runs.
            """,
        ),
        Declaration(
            name="response_buffer_size",
            cli=("--response-buffer-size",),
            meta="SIZE",
            validator=validators.size(),
            default=MIB,
            help="""
            How much of a response is kept in memory for a client that is slow to read, in bytes.

            What is beyond waits in a temporary file, see `response_spool_size`.
            """,
        ),
        Declaration(
            name="response_spool_size",
            cli=("--response-spool-size",),
            meta="SIZE",
            validator=validators.size(),
            default=1024 * MIB,
            help="""
            How much of a response is kept in temporary files (`worker_tmp_dir`), in bytes.

            So an application produces its response at its own pace, whatever that of the client.
            Only when this much is waiting does the application wait for the client. 0 puts
            nothing in files.
            """,
        ),
        Declaration(
            name="worker_buffer_size",
            cli=("--worker-buffer-size",),
            meta="SIZE",
            validator=validators.size(),
            default=128 * MIB,
            help="""
            How much all connections of a worker keep in memory together, in bytes.

            It counts what clients have sent of bodies that are not complete, what they have not yet
            read of responses, and heads and trailers above 64K until their request is over. When so
            much is waiting, what comes on top of bodies and responses goes to temporary files
            although it is within `request_buffer_size` or `response_buffer_size`, but for 64K a
            connection, and of clients with such heads or trailers the slowest are answered with
            408, or cut when they do not read.
            """,
        ),
        Declaration(
            name="worker_spool_size",
            cli=("--worker-spool-size",),
            meta="SIZE",
            validator=validators.size(),
            default=4096 * MIB,
            help="""
            How much all connections of a worker keep in temporary files together, in bytes.

            When so much is waiting, there are `request_buffer_size` and `response_buffer_size`
            for each connection, and beyond them bodies are read while the application runs, and
            responses wait for their clients, which occupies the worker for as long.
            """,
        ),
    ),
)
