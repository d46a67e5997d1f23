"""Long-running work in a pool of its own."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration, Section
from gunicorn.config.hooks import hook


def _number(name: str, flag: str, default: int, minimum: int, text: str) -> Declaration:
    return Declaration(
        name=name,
        cli=(flag,),
        meta="INT",
        validator=validators.integer(minimum),
        default=default,
        supported=False,
        help=text,
    )


HOOKS_SECTION = Section(
    "Dirty Arbiter Hooks",
    (
        hook(
            "on_dirty_starting",
            ("arbiter",),
            "Called when the dirty arbiter starts.",
            supported=False,
        ),
        hook(
            "dirty_post_fork",
            ("arbiter", "worker"),
            "Called in a dirty worker after the fork.",
            supported=False,
        ),
        hook(
            "dirty_worker_init",
            ("worker",),
            "Called when a dirty worker has loaded its applications.",
            supported=False,
        ),
        hook(
            "dirty_worker_exit",
            ("arbiter", "worker"),
            "Called when a dirty worker has gone.",
            supported=False,
        ),
    ),
)

SECTION = Section(
    "Dirty Arbiters",
    (
        Declaration(
            name="dirty_apps",
            cli=("--dirty-app",),
            action="append",
            meta="STRING",
            validator=validators.string_list,
            default=(),
            supported=False,
            help="The applications of the dirty pool. May be given several times.",
        ),
        _number("dirty_workers", "--dirty-workers", 0, 0, "The number of dirty workers."),
        _number("dirty_timeout", "--dirty-timeout", 300, 0, "Seconds that a task may take."),
        _number("dirty_threads", "--dirty-threads", 1, 1, "Threads in each dirty worker."),
        _number(
            "dirty_graceful_timeout",
            "--dirty-graceful-timeout",
            30,
            0,
            "Seconds that dirty workers are given to finish when they are to stop.",
        ),
    ),
)
