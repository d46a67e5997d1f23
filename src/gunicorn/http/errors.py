"""One exception class for each rule of the protocol that a client can break.

Every class says which status answers it (RFC 9110, section 15) and which section states the rule.
The message is for the client and for the log: it names the rule and shows the offending bytes
escaped and cut, so that neither can be used to inject anything anywhere.

`HTTPError` is the root of everything that has an answer; `ParseException` of everything that came
from reading the client's bytes.
"""

from __future__ import annotations

from typing import ClassVar

REASONS: dict[int, str] = {
    400: "Bad Request",
    403: "Forbidden",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


def excerpt(data: str | bytes | bytearray | memoryview, size: int = 80) -> str:
    """`data` as a short, printable, ASCII-only quotation."""
    beginning = data[: size + 1]
    text = ascii(beginning if isinstance(beginning, str) else bytes(beginning))
    return text if len(text) <= size else f"{text[:size]}…"


class HTTPError(Exception):
    """A request that is answered with an error status, after which the connection is closed."""

    status: ClassVar[int] = 400
    rule: ClassVar[str] = "RFC 9112"
    summary: ClassVar[str] = "Bad request"

    def __init__(self, detail: object = None) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def reason(self) -> str:
        """The reason phrase of `status`."""
        return REASONS[self.status]

    def __str__(self) -> str:
        if self.detail is None:
            return f"{self.summary} ({self.rule})"
        return f"{self.summary}: {self.detail} ({self.rule})"


class ParseException(HTTPError):
    """The client's bytes break a rule of the message grammar."""


# The request line (RFC 9112, section 3)


class InvalidRequestLine(ParseException):
    rule = "RFC 9112, 3"
    summary = "Invalid request line"


class InvalidRequestMethod(ParseException):
    rule = "RFC 9110, 9.1"
    summary = "Invalid HTTP method"


class UnsupportedMethod(ParseException):
    """CONNECT asks for a tunnel, which an origin server does not offer."""

    status = 501
    rule = "RFC 9110, 9.3.6"
    summary = "Unsupported HTTP method"


class InvalidRequestTarget(ParseException):
    rule = "RFC 9112, 3.2"
    summary = "Invalid request target"


class InvalidHTTPVersion(ParseException):
    rule = "RFC 9112, 2.3"
    summary = "Invalid HTTP version"


class UnsupportedHTTPVersion(InvalidHTTPVersion):
    status = 505
    rule = "RFC 9110, 15.6.6"
    summary = "Unsupported HTTP version"


class LimitRequestLine(ParseException):
    status = 414
    rule = "RFC 9112, 3"
    summary = "Request line is too large"


# Field lines (RFC 9112, section 5)


class LimitRequestHeaders(ParseException):
    status = 431
    rule = "RFC 6585, 5"
    summary = "Request header fields are too large"


class InvalidHeader(ParseException):
    rule = "RFC 9110, 5.5"
    summary = "Invalid field line"


class InvalidHeaderName(InvalidHeader):
    rule = "RFC 9110, 5.1"
    summary = "Invalid field name"


class ObsoleteFolding(InvalidHeader):
    rule = "RFC 9112, 5.2"
    summary = "Obsolete line folding"


class BareLineBreak(InvalidHeader):
    """CR or LF alone: whoever takes it for a line break can be made to see other fields."""

    rule = "RFC 9112, 2.2"
    summary = "Line break that is not CRLF"


class InvalidHost(InvalidHeader):
    rule = "RFC 9112, 3.2"
    summary = "Missing, repeated or invalid Host"


class InvalidSchemeHeaders(InvalidHeader):
    rule = "secure_scheme_headers"
    summary = "Contradictory scheme headers"


class ExpectationFailed(ParseException):
    status = 417
    rule = "RFC 9110, 10.1.1"
    summary = "Unsupported expectation"


# The body (RFC 9112, sections 6 and 7)


class InvalidContentLength(InvalidHeader):
    rule = "RFC 9112, 6.3"
    summary = "Invalid Content-Length"


class ConflictingFraming(InvalidHeader):
    """Two answers to how long the body is: the door of request smuggling."""

    rule = "RFC 9112, 6.1"
    summary = "Conflicting message framing"


class InvalidTransferEncoding(InvalidHeader):
    rule = "RFC 9112, 6.1"
    summary = "Invalid Transfer-Encoding"


class UnsupportedTransferCoding(ParseException):
    status = 501
    rule = "RFC 9112, 7"
    summary = "Unsupported transfer coding"


class InvalidChunkSize(ParseException):
    rule = "RFC 9112, 7.1"
    summary = "Invalid chunk size"


class InvalidChunkExtension(ParseException):
    rule = "RFC 9112, 7.1.1"
    summary = "Invalid chunk extension"


class ExcessiveChunkFraming(ParseException):
    rule = "RFC 9112, 7.1.1"
    summary = "Chunks are too small"


class ChunkMissingTerminator(ParseException):
    rule = "RFC 9112, 7.1"
    summary = "Chunk data not followed by CRLF"


class InvalidTrailer(InvalidHeader):
    rule = "RFC 9110, 6.5.1"
    summary = "Invalid trailer field"


class LimitRequestBody(ParseException):
    status = 413
    rule = "RFC 9110, 15.5.14"
    summary = "Request body is too large"


class IncompleteBody(ParseException, OSError):
    """The connection ended before the body did; raised from `wsgi.input`.

    It is an `OSError` too, which is what applications expect a broken read to raise.
    """

    rule = "RFC 9112, 8"
    summary = "Incomplete request body"


class RequestTimeout(HTTPError):
    status = 408
    rule = "RFC 9110, 15.5.9"
    summary = "Request timed out"


class BodyTimeout(RequestTimeout, TimeoutError):
    """The client fell silent in the middle of a body; raised from `wsgi.input`."""

    summary = "Request body timed out"


# What a proxy says of its client


class InvalidProxyLine(ParseException):
    rule = "PROXY protocol"
    summary = "Invalid PROXY header"


class InvalidProxyHeader(InvalidProxyLine):
    rule = "PROXY protocol, 2.2"


class ForbiddenProxyRequest(ParseException):
    status = 403
    rule = "proxy_allow_ips"
    summary = "PROXY header from a peer that is not allowed to send one"


# Not the client's fault, but the end of its request


class NoMoreData(ParseException, EOFError):
    """The client closed the connection before a request was complete."""

    rule = "RFC 9112, 8"
    summary = "No more data"


class ConfigurationProblem(HTTPError):
    status = 500
    rule = "configuration"
    summary = "Configuration problem"
