"""The server's side of an HTTP/1.x connection, as a state machine without a socket.

Bytes go in through `receive`; a `Request` comes out when it is ready for an application: its head
is read and its body is in, or as much of the body as is buffered. Then the connection is busy
until the caller has sent the response and asks for the `next_request`, which may have arrived
meanwhile (pipelining, RFC 9112, 9.3.2). One request is out at a time, so responses are in order.

    HEAD --head--> BODY --buffered--> BUSY --next_request--> HEAD
       `-----------no body-------------^

A broken rule is an `HTTPError`: the caller answers it and closes, and no later byte is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gunicorn.http.body import Body, Decoder, LengthDecoder
from gunicorn.http.careful import PartialHead
from gunicorn.http.chunks import ChunkedDecoder
from gunicorn.http.errors import ForbiddenProxyRequest, IncompleteBody
from gunicorn.http.head import HeadParser
from gunicorn.http.policy import Policy
from gunicorn.http.proxy import DIRECT, announced_version, is_announced, read_proxy_header
from gunicorn.http.request import Request

PROXY, HEAD, BODY, BUSY, REFUSED = range(5)

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

SHORT_BODY = 64 * 1024
"""Bytes up to which a body is not worth watching."""


class HTTPConnection:
    """One connection; `parser` and `policy` are shared by all connections of a process."""

    __slots__ = (
        "awaiting_continue",
        "buffer",
        "new_body",
        "parser",
        "partial",
        "peer_addr",
        "policy",
        "request",
        "state",
        "trusted",
        "variables",
    )

    def __init__(
        self,
        parser: HeadParser,
        policy: Policy,
        variables: dict[str, Any],
        peer_addr: Any,
        new_body: Callable[[Decoder, int], Body] = Body,
    ) -> None:
        """`variables` are the meta-variables that every request of this connection begins with.

        `new_body` makes a body that is chunked, or longer than `SHORT_BODY`, of its decoder and
        its limit.
        """
        self.parser = parser
        self.policy = policy
        self.variables = variables
        self.peer_addr = peer_addr
        self.trusted = peer_addr in policy.forwarded_allow
        self.state = HEAD if policy.proxy_protocol == "off" else PROXY
        self.buffer = b""
        """What came after the current request: the beginning of the next."""
        self.partial: PartialHead | None = None
        """A head that is not whole yet."""
        self.request: Request | None = None
        self.awaiting_continue = False
        self.new_body = new_body

    def receive(self, data: bytes) -> Request | None:
        """Take bytes from the client; return the request they complete, if any.

        While the connection is busy nothing bounds what is kept but the caller, who does well not
        to read from the client then.
        """
        state = self.state
        if state == HEAD:
            if self.partial is not None:
                return self.receive_partial(data)
            return self.read_head(data)
        if state == BODY:
            return self.read_body(data)
        if state == PROXY:
            return self.read_proxy(data)
        if state == BUSY:
            if self.unread_body:
                self.receive_body(data)
            else:
                self.buffer += data
        return None

    def next_request(self) -> Request | None:
        """The response is sent: go on to what has already arrived of the next request."""
        self.request = None
        if self.state == REFUSED:
            return None
        self.state = HEAD
        data = self.buffer
        if data:
            self.buffer = b""
            return self.receive(data)
        return None

    def forget(self) -> None:
        """Hear no more of this client, and let go of what it has sent so far."""
        self.state = REFUSED
        self.request = self.partial = None
        self.buffer = b""

    @property
    def idle(self) -> bool:
        """Between requests, with not a byte of the next one here but perhaps an empty line."""
        if self.partial is not None:
            return self.partial.is_blank
        return self.state == HEAD or (self.state == PROXY and not self.buffer)

    @property
    def at_rest(self) -> bool:
        """Whether the next byte will be the first of a request head."""
        return self.state == HEAD and self.partial is None

    @property
    def behind(self) -> bool:
        """Whether there is something to do before more comes: `receive` goes on with no bytes."""
        body = self.request.body if self.request is not None else None
        return body is not None and body.behind and self.state != REFUSED

    @property
    def unread_body(self) -> bool:
        """Whether the current request has body bytes that nobody has received, or ever will."""
        body = self.request.body if self.request is not None else None
        return body is not None and (not body.complete or self.state == REFUSED)

    @property
    def body(self) -> Body:
        """The body of the current request, which has one."""
        assert self.request is not None
        assert self.request.body is not None
        return self.request.body

    # Each reader takes bytes in its state and returns the request that they complete.

    def read_head(self, data: bytes) -> Request | None:
        try:
            request = self.parser.parse(data, 0, self.variables.copy(), self.trusted)
        except BaseException:
            self.state = REFUSED
            raise
        if request is None:
            self.partial = PartialHead(self.policy)
            self.partial.receive(data)
            return None
        return self.begin(request, data)

    def begin(self, request: Request, data: bytes) -> Request | None:
        """Go on from a head that was read from the beginning of `data`."""
        request.peer_addr = self.peer_addr
        self.request = request
        end = request.head_end
        rest = data[end:] if len(data) > end else b""
        if request.content_length or request.chunked:
            return self.begin_body(request, rest)
        self.buffer = rest
        self.state = BUSY
        return request

    def receive_partial(self, data: bytes) -> Request | None:
        """Collect a head that comes in pieces, and read it when it is whole."""
        partial = self.partial
        assert partial is not None
        try:
            whole = partial.receive(data)
        except BaseException:
            self.state = REFUSED
            raise
        if not whole:
            return None
        self.partial = None
        return self.read_head(bytes(partial.data))

    def begin_body(self, request: Request, rest: bytes) -> Request | None:
        policy = self.policy
        limit = policy.limit_request_body
        if request.chunked:
            request.body = self.new_body(ChunkedDecoder(policy, self.parser.take_chunks), limit)
        else:
            short = request.content_length <= min(policy.request_buffer_size, SHORT_BODY)
            new_body = Body if short else self.new_body
            request.body = new_body(LengthDecoder(request.content_length), limit)
        self.state = BODY
        self.awaiting_continue = request.expect_continue and not rest
        if not rest:
            return None
        ready = self.read_body(rest)
        if ready is None:
            request.keep_head_only()
        return ready

    def read_body(self, data: bytes) -> Request | None:
        request = self.request
        assert request is not None
        self.receive_body(data)
        body = request.body
        assert body is not None
        if body.is_due(self.policy.request_buffer_size):
            self.state = BUSY
            return request
        return None

    def receive_body(self, data: bytes) -> None:
        """Take bytes while the current request's body is being read by an application.

        Raises the `HTTPError` of the rule that they break, and `IncompleteBody` ever after.
        """
        if self.state == REFUSED:
            raise IncompleteBody("what came of it broke a rule")
        assert self.request is not None
        body = self.request.body
        assert body is not None
        self.awaiting_continue = False
        try:
            if body.complete:
                self.buffer += data
            else:
                self.buffer = body.feed(data)
        except BaseException:
            self.state = REFUSED
            raise

    def read_proxy(self, data: bytes) -> Request | None:
        """The PROXY header, if there is one, then the first request."""
        data = self.buffer + data
        version = announced_version(data, self.policy.proxy_protocol)
        announced = version and is_announced(data, version)
        if announced and self.peer_addr not in self.policy.proxy_allow:
            self.state = REFUSED
            raise ForbiddenProxyRequest(self.variables["REMOTE_ADDR"])
        try:
            proxy = read_proxy_header(data, version) if version else DIRECT
        except BaseException:
            self.state = REFUSED
            raise
        if proxy is None:
            self.buffer = data
            return None
        if version:
            self.variables["PROXY_PROTOCOL"] = proxy.protocol
        if proxy.client_addr is not None:
            self.variables["REMOTE_ADDR"] = proxy.client_addr
            self.variables["REMOTE_PORT"] = str(proxy.client_port)
            self.variables["PROXY_ADDR"] = proxy.proxy_addr
            self.variables["PROXY_PORT"] = str(proxy.proxy_port)
        self.buffer = b""
        self.state = HEAD
        rest = data[proxy.size :]
        return self.read_head(rest) if rest else None
