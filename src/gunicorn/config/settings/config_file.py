"""Where settings come from, and what to serve."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration, Section

SECTION = Section(
    "Config File",
    (
        Declaration(
            name="config",
            cli=("-c", "--config"),
            meta="CONFIG",
            validator=validators.string,
            default="./gunicorn.conf.py",
            help="""
            The configuration: a Python file, or `python:MODULE` for a module.

            Top-level names that are settings are taken; any other name is yours, for helpers. One
            that resembles a setting is refused as misspelt, unless that setting is given, too, the
            name begins with an underscore, or the file reads it.

            `file:PATH` is the same as PATH. Without the flag `./gunicorn.conf.py` is read when it
            exists. Command-line flags and GUNICORN_CMD_ARGS have precedence over the file.
            """,
        ),
        Declaration(
            name="wsgi_app",
            meta="STRING",
            validator=validators.optional_string,
            help="""
            The application to serve, `MODULE:CALLABLE`, for a start without APP_MODULE.

            The callable may be left out (`application`), be dotted (`module:site.app`), or be a
            factory with literal arguments (`module:create_app("production", debug=False)`). An
            application named on the command line has precedence.
            """,
        ),
    ),
)
