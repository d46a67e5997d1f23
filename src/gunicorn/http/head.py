"""The request head: its grammar (RFC 9112, sections 2, 3 and 5) and what it means.

How to think about it. Almost every head is conventional: a well-known shape of request line and
one field per line, none of them repeated or oddly spaced. One regular expression recognises the
request line, another takes all field lines at once; counting the lines proves that nothing was
skipped. Names become CGI meta-variable names through a bounded cache. Requests resemble earlier
ones, those of one client above all: what was recognised is remembered, request lines and blocks of
field lines apart, and not read again.

Whatever is not conventional, be it forbidden, limited or merely rare, makes `parse` turn to
`gunicorn.http.careful`, which reads line by line, knows every permission and names the rule that
is broken. The fast road thus never has to explain anything.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from gunicorn.http import careful
from gunicorn.http.chunks import take_chunks
from gunicorn.http.errors import (
    ConflictingFraming,
    ExpectationFailed,
    InvalidContentLength,
    InvalidHost,
    InvalidSchemeHeaders,
    InvalidTransferEncoding,
    LimitRequestBody,
    UnsupportedTransferCoding,
    excerpt,
)
from gunicorn.http.policy import Policy
from gunicorn.http.request import Request

# RFC 9110, 5.6.2
TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"

# RFC 9112, 3. Methods that users of HTTP know are upper-case words; the path and query are taken
# as browsers send them, which is more than RFC 3986 allows, but no space, control or "#".
METHOD = r"(?!CONNECT )[A-Z][A-Z0-9$\-_.]{2,19}"
PATH = r'/[!"$->@-~\x80-\xff]*'
QUERY = r'[!"$-~\x80-\xff]*'
REQUEST_LINE = re.compile(rf"({METHOD}) (({PATH})(?:\?({QUERY}))?) HTTP/1\.([01])\r\n")

# A field line as nearly everybody writes it: one space behind the colon, none at the end. Names are
# checked when they are first seen, and control characters in bulk, so that this can be a pattern
# of single characters, which the engine is quickest with. Blanks that could belong to either side
# of a border would be tried on both, and a name that may go on in the next line would be looked for
# from each line to the end of all, which takes quadratic time.
FIELD_LINE = re.compile(r"^([^:\r\n]+): (?![ \t])([^\r]*)(?<![ \t])\r\n", re.MULTILINE)
FIELD_NAME = re.compile(TOKEN)
NO_CONTROLS = bytes([9, 10, 13, *range(32, 127), *range(128, 256)])

# RFC 3986, 3.2.2 and 3.2.3. A repetition of alternatives, with which escapes could be checked at
# once, takes the engine some hundred bytes of memory for each character.
HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+(?:%25[A-Za-z0-9._~%-]+)?\]"
    r"|\[[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+\]"
    r"|[A-Za-z0-9._~!$&'()*+,;=%-]*)"
    r"(?::[0-9]*)?"
)
BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
CONTENT_LENGTH = re.compile(r"[0-9]{1,18}")

PLAIN_OPTIONS = frozenset({"keep-alive", "Keep-Alive", "close"})
"""Connection fields as they usually are."""

MEANINGFUL = frozenset({"CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT"})
"""Variables of the fields that say how a message goes on."""

MAX_LINE_SIZE = 512
MAX_BLOCK_SIZE = 2048
"""Bytes of what is remembered, at most: clients choose it."""


def percent_decode(path: str) -> str:
    """`path` with its percent-encoded octets decoded; a character stands for an octet."""
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1")


def is_host(host: str) -> bool:
    """Whether `host` is what Host may be: `uri-host [ ":" port ]` (RFC 9110, 7.2)."""
    if not HOST.fullmatch(host):
        return False
    return is_ip_literal(host) if host[:1] == "[" else not BAD_ESCAPE.search(host)


def is_ip_literal(host: str) -> bool:
    """Whether the brackets that `host` begins with hold an IPv6 address, or a form to come."""
    address = host[1 : host.index("]")]
    if address[0] in "vV":
        return True
    try:
        ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return False
    return True


class Bounded:
    """A collection that clients fill, and so a bounded one.

    When it is full, nothing is kept for a while; then it begins anew. So where hardly anything
    comes twice little is kept in vain, and who fills it with rubbish does not keep it full.
    """

    ROOM = 1024
    PATIENCE = 2048
    """What is not found while there is no room, before there is room again."""

    turned_away = 0

    def has_room(self) -> bool:
        """Whether one more may be kept."""
        if len(self) < self.ROOM:  # type: ignore[arg-type] # it is a collection
            return True
        self.turned_away += 1
        if self.turned_away < self.PATIENCE:
            return False
        self.turned_away = 0
        self.clear()  # type: ignore[attr-defined] # it is a collection
        return True


class FieldNames(Bounded, dict[str, str]):
    """Field name -> CGI meta-variable name, remembered for as many names as a site really uses.

    What is no name raises `KeyError`, and so does one with an underscore: which field it stands
    for is a question for `header_map`.
    """

    def __missing__(self, name: str) -> str:
        if "_" in name or not FIELD_NAME.fullmatch(name):
            raise KeyError(name)
        variable = careful.meta_variable(name)
        if self.has_room():
            self[name] = variable
        return variable


class Hosts(Bounded, set[str]):
    """Values of Host that are valid."""

    def remember(self, host: str) -> None:
        if len(host) < 256 and self.has_room():
            self.add(host)


Known = TypeVar("Known")


class Memo(Bounded, dict[bytes, Known]):
    """What was read of so many bytes."""

    ROOM = 256

    def remember(self, data: bytes, known: Known) -> None:
        if self.has_room():
            self[data] = known


RequestLine = tuple[str, str, str, str, str]
"""Method, target, path, query and protocol."""

FieldBlock = tuple[dict[str, str], str, bool, "bool | None"]
"""Fields by variable; their lines as text; whether they mean nothing to the server but, perhaps,
that the connection is to be kept or closed, which comes last. The Host of such is a known one."""


class HeadParser:
    """Reads request heads under one policy."""

    take_chunks = staticmethod(take_chunks)
    """What takes the plain chunks of a body behind a head; see `gunicorn.http.chunks`."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.names = FieldNames()
        self.hosts = Hosts()
        self.lines: Memo[RequestLine] = Memo()
        self.blocks: Memo[FieldBlock] = Memo()
        self.script_name = policy.script_name
        self.max_fields = policy.max_fields
        # A head shorter than every limit needs no measuring of its lines.
        self.surely_within = min(
            policy.limit_request_line or policy.max_head,
            policy.limit_request_field_size or policy.max_head,
        )
        self.scheme_fields = {
            careful.meta_variable(name): value
            for name, value in policy.secure_scheme_headers.items()
        }
        self.meaningful = MEANINGFUL.union(self.scheme_fields)

    def parse(
        self, data: bytes, start: int, variables: dict[str, Any], trusted: bool
    ) -> Request | None:
        """Read the request head that begins at `start`, or return None when it is not whole.

        `variables`, the meta-variables of the connection, is filled in and becomes the
        request's. `trusted` says whether the peer may speak for its clients. Raises the
        `HTTPError` of the rule that is broken, as soon as the bytes at hand break it.
        """
        request = self.recognise(data, start, variables, trusted)
        if request is not None:
            return request
        end = data.find(b"\r\n\r\n", start)
        if end < 0 or data[start] == 13:
            return self.parse_rare(data, start, variables, trusted)
        return self.parse_carefully(data, start, end, variables, trusted)

    def recognise(
        self, data: bytes, start: int, variables: dict[str, Any], trusted: bool
    ) -> Request | None:
        """The request whose conventional head begins at `start`; None for any other head.

        Nothing is stored in `variables` before the whole head is recognised.
        """
        end = data.find(b"\r\n\r\n", start) + 2
        if end < 2 or end - start > self.surely_within:
            return None
        line_end = data.index(b"\n", start) + 1
        line = data[start:line_end]
        block = data[line_end:end]
        known_line = self.lines.get(line) or self.read_line(line)
        if known_line is None:
            return None
        known = self.blocks.get(block) or self.read_block(block)
        if known is None:
            return None

        method, target, path, query, protocol = known_line
        fields, text, plain, keep_alive = known
        variables.update(fields)
        variables["REQUEST_METHOD"] = method
        variables["RAW_URI"] = target
        variables["QUERY_STRING"] = query
        variables["PATH_INFO"] = path
        variables["SERVER_PROTOCOL"] = protocol
        if self.script_name:
            careful.split_script_name(variables, self.script_name)
        request = Request(method, target, variables, text, end + 2)
        if protocol == "HTTP/1.0":
            request.version = (1, 0)
        if not plain:
            self.interpret(request, fields, trusted)
        elif keep_alive is not None:
            request.keep_alive = keep_alive
        elif protocol == "HTTP/1.0":
            request.keep_alive = False
        return request

    def read_line(self, line: bytes) -> RequestLine | None:
        """Method, target, path, query and protocol of a conventional request line."""
        found = REQUEST_LINE.fullmatch(line.decode("latin-1"))
        if found is None:
            return None
        method, target, path, query, minor = found.groups()
        if "%" in path:
            path = percent_decode(path)
        known = (method, target, path, query or "", "HTTP/1.1" if minor == "1" else "HTTP/1.0")
        if len(line) <= MAX_LINE_SIZE:
            self.lines.remember(line, known)
        return known

    def read_block(self, block: bytes) -> FieldBlock | None:
        """The field lines of a head, if they are conventional."""
        if block.translate(None, NO_CONTROLS):
            return None
        text = block.decode("latin-1")
        count = text.count("\n")
        if count > self.max_fields:
            return None
        lines = FIELD_LINE.findall(text)
        names = self.names
        try:
            fields = {names[name]: value for name, value in lines}
        except KeyError:
            return None
        # As many fields as lines: none was skipped, none is repeated.
        if not len(fields) == len(lines) == count:
            return None
        connection = fields.get("HTTP_CONNECTION", "")
        if (
            fields.get("HTTP_HOST") not in self.hosts
            or (connection and connection not in PLAIN_OPTIONS)
            or not self.meaningful.isdisjoint(fields)
        ):
            return fields, text, False, None
        known = (fields, text, True, connection != "close" if connection else None)
        if len(block) <= MAX_BLOCK_SIZE:
            self.blocks.remember(block, known)
        return known

    def parse_rare(
        self, data: bytes, start: int, variables: dict[str, Any], trusted: bool
    ) -> Request | None:
        """A head that is not whole yet, or comes after an empty line (RFC 9112, 2.2)."""
        if data.startswith(b"\r\n", start):
            start += 2
            careful.refuse_empty_line(data, start)
            if len(data) > start:
                return self.parse(data, start, variables, trusted)
            return None
        if data.find(b"\r\n\r\n", start) < 0:
            careful.PartialHead(self.policy).receive(data[start:])
            return None
        careful.check_request_line(data[start : data.index(b"\n", start) + 1], self.policy)
        return None

    def parse_carefully(
        self, data: bytes, start: int, end: int, variables: dict[str, Any], trusted: bool
    ) -> Request:
        """Read an unconventional head line by line."""
        head = careful.read_head(data[start : end + 2], self.policy, trusted)
        fields = head.fields
        if head.host is not None:
            # The target's authority replaces Host, which has to be there and valid all the same.
            self.check_host(fields.get("HTTP_HOST"), head.version)
            fields["HTTP_HOST"] = head.host
        variables.update(fields)
        variables["REQUEST_METHOD"] = head.method
        variables["RAW_URI"] = head.target
        variables["QUERY_STRING"] = head.query
        variables["PATH_INFO"] = percent_decode(head.path)
        variables["SERVER_PROTOCOL"] = f"HTTP/{head.version[0]}.{head.version[1]}"
        request = Request(head.method, head.target, variables, "", end + 4)
        request.version = head.version
        request.headers = head.lines
        script_name = self.script_name if head.script_name is None else head.script_name
        if script_name:
            careful.split_script_name(variables, script_name)
        self.interpret(request, fields, trusted)
        return request

    # What the fields mean for the message and the connection

    def interpret(self, request: Request, fields: dict[str, str], trusted: bool) -> None:
        """Host, framing, persistence, expectations, and the scheme that a proxy tells."""
        host = fields.get("HTTP_HOST")
        if host not in self.hosts:
            self.check_host(host, request.version)
        if "CONTENT_LENGTH" in fields or "HTTP_TRANSFER_ENCODING" in fields:
            self.find_framing(request, fields)
        connection = fields.get("HTTP_CONNECTION")
        if connection is not None:
            if connection not in PLAIN_OPTIONS:
                self.find_persistence(request, connection)
            else:
                request.keep_alive = connection != "close"
        elif request.version < (1, 1):
            request.keep_alive = False
        if "HTTP_EXPECT" in fields and request.version >= (1, 1):
            if fields["HTTP_EXPECT"].lower() != "100-continue":
                raise ExpectationFailed(excerpt(fields["HTTP_EXPECT"]))
            request.expect_continue = request.chunked or request.content_length > 0
        if trusted:
            for name in self.scheme_fields:
                if name in fields:
                    self.find_scheme(request, fields)
                    break

    def check_host(self, host: str | None, version: tuple[int, int]) -> None:
        """RFC 9112, 3.2: exactly one valid Host, which only HTTP/1.0 may leave out."""
        if host is None:
            if version >= (1, 1):
                raise InvalidHost("a request without one")
            return
        if not is_host(host):
            raise InvalidHost(excerpt(host))
        self.hosts.remember(host)

    def find_framing(self, request: Request, fields: dict[str, str]) -> None:
        """RFC 9112, 6.3: how the end of the body is found."""
        length = fields.get("CONTENT_LENGTH")
        coding = fields.get("HTTP_TRANSFER_ENCODING")
        if coding is not None:
            if length is not None:
                raise ConflictingFraming("both Content-Length and Transfer-Encoding")
            if request.version < (1, 1):
                raise InvalidTransferEncoding("in a request of HTTP/1.0")
            codings = [name.strip(" \t").lower() for name in coding.split(",")]
            if codings != ["chunked"]:
                if codings.count("chunked") > 1 or codings[-1] != "chunked" or "" in codings:
                    raise InvalidTransferEncoding(excerpt(coding))
                raise UnsupportedTransferCoding(excerpt(coding))
            request.chunked = True
        elif length is not None:
            if not CONTENT_LENGTH.fullmatch(length):
                raise InvalidContentLength(excerpt(length))
            request.content_length = int(length)
            if 0 < self.policy.limit_request_body < request.content_length:
                raise LimitRequestBody(
                    f"{length} bytes, more than {self.policy.limit_request_body}"
                )

    def find_persistence(self, request: Request, connection: str) -> None:
        """RFC 9112, 9.3: `close` ends the connection, `keep-alive` keeps one of HTTP/1.0."""
        options = [option.strip(" \t").lower() for option in connection.split(",")]
        if "close" in options:
            request.keep_alive = False
        elif request.version < (1, 1):
            request.keep_alive = "keep-alive" in options

    def find_scheme(self, request: Request, fields: dict[str, str]) -> None:
        """The scheme by `secure_scheme_headers`; fields that contradict one another are refused."""
        verdicts = {
            fields[name] == secure for name, secure in self.scheme_fields.items() if name in fields
        }
        if len(verdicts) > 1:
            raise InvalidSchemeHeaders()
        request.variables["wsgi.url_scheme"] = "https" if verdicts.pop() else "http"
