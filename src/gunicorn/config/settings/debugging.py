"""Help while developing, and questions about the configuration."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration, Section

SECTION = Section(
    "Debugging",
    (
        Declaration(
            name="reload",
            cli=("--reload",),
            action="store_true",
            validator=validators.boolean,
            default=False,
            help="""
            Restart workers when the application's code changes.

            For development: every imported module and `reload_extra_files` are watched. A worker
            whose application cannot be loaded waits for the next change. Together with
            `preload_app` changes are not seen by workers, because the code is loaded before them.
            """,
        ),
        Declaration(
            name="reload_engine",
            cli=("--reload-engine",),
            meta="STRING",
            validator=validators.one_of("auto", "poll", "inotify"),
            default="auto",
            help="""
            How `reload` learns of changes: auto, poll or inotify.

            `inotify` is told by the operating system and needs the package watchfiles
            (`pip install gunicorn[reload]`); `poll` looks at modification times; `auto` is the
            former where it is available and the latter elsewhere.
            """,
        ),
        Declaration(
            name="reload_extra_files",
            cli=("--reload-extra-file",),
            action="append",
            meta="FILES",
            validator=validators.path_list,
            default=(),
            help="""
            More files for `reload` to watch, such as templates or configuration.

            May be given several times.
            """,
        ),
        Declaration(
            name="spew",
            cli=("--spew",),
            action="store_true",
            validator=validators.boolean,
            default=False,
            help="""
            Print every line of Python that workers execute.

            This is the last resort of debugging, and slow.
            """,
        ),
        Declaration(
            name="check_config",
            cli=("--check-config",),
            action="store_true",
            validator=validators.boolean,
            default=False,
            help="""
            Check the configuration, load the application, and exit.

            The exit code is 0 when both are right, otherwise 1 with a message.
            """,
        ),
        Declaration(
            name="print_config",
            cli=("--print-config",),
            action="store_true",
            validator=validators.boolean,
            default=False,
            help="""
            Print every setting as it came out of all sources, and exit.

            Does what `check_config` does, too.
            """,
        ),
    ),
)
