"""The control interface."""

from __future__ import annotations

import os

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration, Section


def _socket_path() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return os.path.join(runtime, "gunicorn.ctl")
    return os.path.join(os.path.expanduser("~"), ".gunicorn", "gunicorn.ctl")


SECTION = Section(
    "Control",
    (
        Declaration(
            name="control_socket",
            cli=("--control-socket",),
            meta="PATH",
            validator=validators.path,
            default_factory=_socket_path,
            default_text="~/.gunicorn/gunicorn.ctl, or under XDG_RUNTIME_DIR where set",
            supported=False,
            help="The unix socket of the control interface.",
        ),
        Declaration(
            name="control_socket_mode",
            cli=("--control-socket-mode",),
            meta="INT",
            validator=validators.permission_bits,
            default=0o600,
            supported=False,
            help="The permission bits of the control socket.",
        ),
        Declaration(
            name="control_socket_disable",
            cli=("--no-control-socket",),
            action="store_true",
            validator=validators.boolean,
            default=False,
            help="""
            Open no control socket.

            This version has no control socket, so none is opened with either value.
            """,
        ),
    ),
)
