"""A client that is not there: what a response sends to it, what an input waits of it."""

from __future__ import annotations

import os
from collections.abc import Iterable

from gunicorn.http.body import Body
from gunicorn.http.errors import IncompleteBody
from gunicorn.wsgi.response import FileDone


class FakeSink:
    """Keeps what is sent."""

    can_send_files = True

    def __init__(self) -> None:
        self.sent = b""
        self.calls: list[str] = []
        self.looks = self.signs = 0
        """How often somebody looked for the client, and got on."""
        self.file_limit: int | None = None
        """How many bytes of a file can be sent before it ends."""
        self.loses_client = False
        """Whether that is because the client is gone."""

    def look(self) -> None:
        self.looks += 1

    def notify(self) -> None:
        self.signs += 1

    def send(self, data: bytes) -> None:
        assert data, "nothing to send is nothing to call for"
        self.sent += data
        self.calls.append("send")

    def send_parts(self, head: bytes, body: bytes) -> None:
        self.sent += head + body
        self.calls.append("send_parts")

    def send_file(
        self, head: bytes, descriptor: int, offset: int, count: int, done: FileDone
    ) -> None:
        data = os.pread(descriptor, count if self.file_limit is None else self.file_limit, offset)
        self.sent += head + data
        self.calls.append("send_file")
        done(len(data), lost=self.loses_client)


class FakeSource:
    """Feeds a body from a list of pieces; at their end the client is gone."""

    def __init__(self, body: Body, pieces: Iterable[bytes]) -> None:
        self.body = body
        self.pieces = iter(pieces)

    def receive_more(self) -> None:
        try:
            piece = next(self.pieces)
        except StopIteration:
            raise IncompleteBody("the client closed the connection") from None
        self.body.feed(piece)
