"""Where the server listens."""

from __future__ import annotations

from gunicorn.config import validators
from gunicorn.config.declaration import Declaration, Section


def _port_of_variable(text: str) -> str:
    return f"0.0.0.0:{text}"


SECTION = Section(
    "Server Socket",
    (
        Declaration(
            name="bind",
            cli=("-b", "--bind"),
            action="append",
            meta="ADDRESS",
            validator=validators.addresses,
            default="127.0.0.1:8000",
            variable="PORT",
            from_variable=_port_of_variable,
            help="""
            An address to listen on: HOST, HOST:PORT, [IPV6]:PORT, unix:PATH or fd://N.

            May be given several times, or several with commas between them. The port is 8000
            where none is given; `:PORT` is every IPv4 address, `[::]:PORT` every IPv6 address.
            `fd://N` is a listening socket that was inherited as descriptor N. When PORT is set in
            the environment, the default is `0.0.0.0:$PORT`.
            """,
        ),
        Declaration(
            name="backlog",
            cli=("--backlog",),
            meta="INT",
            validator=validators.integer(1),
            default=2048,
            help="""
            How many connections may wait to be accepted before more are refused.

            The operating system has a bound of its own (net.core.somaxconn on Linux).
            """,
        ),
    ),
)
