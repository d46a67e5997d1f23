"""HTTP/2."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration, Section


def _number(name: str, flag: str, default: int, text: str) -> Declaration:
    return Declaration(
        name=name,
        cli=(flag,),
        meta="INT",
        validator=validators.integer(1),
        default=default,
        supported=False,
        help=text,
    )


SECTION = Section(
    "HTTP/2",
    (
        Declaration(
            name="http_protocols",
            cli=("--http-protocols",),
            meta="STRING",
            validator=validators.comma_list,
            default="h1",
            supported=False,
            help="The versions of HTTP to speak, the preferred one first.",
        ),
        Declaration(
            name="http2_cleartext",
            cli=("--http2-cleartext",),
            meta="STRING",
            validator=validators.string,
            default="off",
            supported=False,
            help="Whether to speak HTTP/2 without TLS, and how it is agreed on.",
        ),
        _number(
            "http2_max_concurrent_streams",
            "--http2-max-concurrent-streams",
            100,
            "Streams that a client may have open at a time.",
        ),
        _number(
            "http2_initial_window_size",
            "--http2-initial-window-size",
            65535,
            "The first flow-control window of a stream, in bytes.",
        ),
        _number(
            "http2_max_frame_size",
            "--http2-max-frame-size",
            16384,
            "The largest frame payload, in bytes.",
        ),
        _number(
            "http2_max_header_list_size",
            "--http2-max-header-list-size",
            65536,
            "The largest field section, in bytes as HPACK counts them.",
        ),
    ),
)
