"""What `ps` and `top` show."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration, Section

SECTION = Section(
    "Process Naming",
    (
        Declaration(
            name="proc_name",
            cli=("-n", "--name"),
            meta="STRING",
            validator=validators.optional_string,
            help="""
            The name in process titles: `gunicorn: master [NAME]`.

            Titles need the package setproctitle (`pip install gunicorn[setproctitle]`). Without a
            name it is `default_proc_name`.
            """,
        ),
        Declaration(
            name="default_proc_name",
            validator=validators.string,
            default="gunicorn",
            help="""
            The process name when `proc_name` is not set.

            The server sets it to the name of the application.
            """,
        ),
    ),
)
