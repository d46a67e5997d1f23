"""How much a request may hold."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration, Section

SECTION = Section(
    "Security",
    (
        Declaration(
            name="limit_request_line",
            cli=("--limit-request-line",),
            meta="INT",
            validator=validators.natural,
            default=4094,
            help="""
            The longest request line, in bytes.

            A longer one is answered with 414. 0 lifts the limit; a whole head may have
            16 MiB then.
            """,
        ),
        Declaration(
            name="limit_request_fields",
            cli=("--limit-request-fields",),
            meta="INT",
            validator=validators.field_limit,
            default=100,
            help="""
            The largest number of field lines in a request, at most 32768.

            More are answered with 431. 0 stands for 32768.
            """,
        ),
        Declaration(
            name="limit_request_field_size",
            cli=("--limit-request-field_size",),
            meta="INT",
            validator=validators.natural,
            default=8190,
            help="""
            The longest field line of a request, in bytes.

            A longer one is answered with 431. 0 lifts the limit; a whole head may have
            16 MiB then.
            """,
        ),
        Declaration(
            name="limit_request_body",
            cli=("--limit-request-body",),
            meta="SIZE",
            validator=validators.size(),
            default=0,
            help="""
            The largest request body, in bytes; `512K` and `1M` are understood.

            A larger one is answered with 413. 0, the default, sets no limit.
            """,
        ),
    ),
)
