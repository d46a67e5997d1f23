"""Functions of the user's that are called as the server goes along."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gunicorn.config.declaration import Section
from gunicorn.config.hooks import callable_taking, hook

if TYPE_CHECKING:
    import ssl


def ssl_context(
    config: Any,  # noqa: ARG001  every hook of this name has it
    default_ssl_context_factory: Callable[[], ssl.SSLContext],
) -> ssl.SSLContext:
    """Make the context that the settings describe."""
    return default_ssl_context_factory()


_POST_REQUEST = ("worker", "req", "environ", "resp")

SECTION = Section(
    "Server Hooks",
    (
        hook(
            "on_starting",
            ("server",),
            "Called in the arbiter before it sets anything up.",
        ),
        hook(
            "on_reload",
            ("server",),
            "Called in the arbiter at a reload (SIGHUP), before the new workers are started.",
        ),
        hook(
            "when_ready",
            ("server",),
            "Called in the arbiter when it listens, before the first worker is started.",
        ),
        hook(
            "pre_fork",
            ("server", "worker"),
            "Called in the arbiter just before a worker is forked.",
        ),
        hook(
            "post_fork",
            ("server", "worker"),
            "Called in a worker just after it was forked.",
        ),
        hook(
            "post_worker_init",
            ("worker",),
            "Called in a worker when it has loaded the application.",
        ),
        hook(
            "worker_int",
            ("worker",),
            "Called in a worker that got SIGINT or SIGQUIT.",
        ),
        hook(
            "worker_abort",
            ("worker",),
            "Called in a worker that got SIGABRT, which it gets when it was silent for `timeout`.",
        ),
        hook(
            "pre_exec",
            ("server",),
            "Called in the new process of an upgrade (SIGUSR2) before the new binary replaces it.",
        ),
        hook(
            "pre_request",
            ("worker", "req"),
            "Called in a worker before the application is called for a request.",
        ),
        hook(
            "post_request",
            _POST_REQUEST,
            """
            Called in a worker after a request was answered.

            A function of fewer parameters, `(worker, req)` or `(worker, req, environ)`, is
            called with those.
            """,
        )._replace(
            validator=callable_taking(_POST_REQUEST, fewest=2),
        ),
        hook(
            "child_exit",
            ("server", "worker"),
            "Called in the arbiter when a worker has gone, or a template (then `worker.age` is 0).",
        ),
        hook(
            "worker_exit",
            ("server", "worker"),
            "Called in a worker that is about to exit.",
        ),
        hook(
            "nworkers_changed",
            ("server", "new_value", "old_value"),
            """
            Called in the arbiter when the number of workers has been changed.

            `old_value` is None the first time.
            """,
        ),
        hook(
            "on_exit",
            ("server",),
            "Called in the arbiter just before it exits.",
        ),
        hook(
            "ssl_context",
            ("config", "default_ssl_context_factory"),
            """
            Called to make the ssl.SSLContext of the listeners; returns it.

            `default_ssl_context_factory()` makes the context that the settings describe, for
            you to change. Set `minimum_version` here, for example. With this hook listeners speak
            TLS without `certfile`, too. It is called in each worker at its start, and again when a
            file has changed that the context was made of.
            """,
        )._replace(
            default=ssl_context,
            default_text="returns default_ssl_context_factory()",
        ),
    ),
)
