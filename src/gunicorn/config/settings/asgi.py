"""ASGI applications and WebSocket."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration

SETTINGS = (
    Declaration(
        name="asgi_loop",
        cli=("--asgi-loop",),
        meta="STRING",
        validator=validators.string,
        default="auto",
        supported=False,
        help="The event loop of ASGI workers.",
    ),
    Declaration(
        name="asgi_lifespan",
        cli=("--asgi-lifespan",),
        meta="STRING",
        validator=validators.string,
        default="auto",
        supported=False,
        help="Whether ASGI applications are told of start-up and shutdown.",
    ),
    Declaration(
        name="asgi_disconnect_grace_period",
        cli=("--asgi-disconnect-grace-period",),
        meta="INT",
        validator=validators.natural,
        default=3,
        supported=False,
        help="Seconds that an ASGI application is given to finish when its client has gone.",
    ),
    Declaration(
        name="websocket_max_message_size",
        cli=("--websocket-max-message-size",),
        meta="INT",
        validator=validators.natural,
        default=16777216,
        supported=False,
        help="The largest WebSocket message, in bytes.",
    ),
)
