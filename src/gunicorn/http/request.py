"""One request as the protocol understood it.

A request is made for every message, so what most messages do not have (a body, trailers, folded
fields) are class attributes until somebody sets them, and what only hooks and logs ask for (the
list of fields) is worked out when asked.
"""

from __future__ import annotations

import re
from typing import Any

from gunicorn.http.body import Body

VERSION_1_1 = (1, 1)
FIELD_LINE = re.compile(r"([^:]*):[ \t]*(.*)\r\n")
"""A field line that has been recognised already; blanks may follow its value."""


class Request:
    """A request head, and the body that follows it.

    `variables` is the head as CGI meta-variables (RFC 3875, 4.1), merged into what the connection
    knows of its peer; a WSGI environ is this dictionary.
    """

    body: Body | None = None
    """The body, complete or in the making; None for a request that has none."""

    content_length: int = 0
    """Length of the body in bytes; 0 also for a chunked one, whose length is not announced."""

    chunked = False
    keep_alive = True
    """Whether the client lets the connection be used again (RFC 9112, 9.3)."""

    expect_continue = False
    version: tuple[int, int] = VERSION_1_1
    fragment = ""
    """Always empty: a request target has no fragment (RFC 9112, 3.2)."""

    peer_addr: Any = None
    """The address of the other end of the connection, as `socket.getpeername` has it."""

    head_fields: list[tuple[str, str]] | None = None
    must_close = False

    def __init__(
        self,
        method: str,
        uri: str,
        variables: dict[str, Any],
        field_block: str,
        head_end: int,
    ) -> None:
        self.method = method
        self.uri = uri
        self.variables = variables
        self.field_block = field_block
        self.head_end = head_end

    def keep_head_only(self) -> None:
        """Let go of what came in one piece with the head: the body is to be waited for."""

    @property
    def path(self) -> str:
        """The path as it was sent, percent-encoding untouched; empty for the target `*`."""
        target = self.uri.partition("?")[0]
        if target.startswith("/"):
            return target
        _, scheme_end, rest = target.partition("://")
        return "/" + rest.partition("/")[2] if scheme_end else ""

    @property
    def query(self) -> str:
        """The query as it was sent, without its question mark."""
        return self.uri.partition("?")[2]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The accepted fields in the order of arrival, as (UPPER-CASE NAME, value)."""
        if self.head_fields is None:
            self.head_fields = [
                (name.upper(), value.rstrip(" \t"))
                for name, value in FIELD_LINE.findall(self.field_block)
            ]
        return self.head_fields

    @headers.setter
    def headers(self, fields: list[tuple[str, str]]) -> None:
        self.head_fields = fields

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """The trailer fields of a chunked body that has been read to its end."""
        return self.body.trailers if self.body is not None else []

    @property
    def scheme(self) -> str:
        """`http` or `https`, as seen by the client (a trusted proxy may have said so)."""
        scheme: str = self.variables["wsgi.url_scheme"]
        return scheme

    @property
    def remote_addr(self) -> str:
        """The client's address; empty on a UNIX socket."""
        address: str = self.variables["REMOTE_ADDR"]
        return address

    def should_close(self) -> bool:
        """Whether the connection ends with this request's response."""
        return self.must_close or not self.keep_alive
