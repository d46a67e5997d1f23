"""The access-log format, compiled once into a function that builds only what the format names.

A format such as ``%(h)s "%(r)s" %(s)s`` is cut into literal text and atoms. Each atom has one
expression in the tables below; the expressions and the text between them become the source of one
Python function. So a line costs the atoms it shows and nothing else: no dictionary of every field,
no parsing of the format, one string built.

What a client sent must be escaped, and hardly ever has to be. So the line is built of the raw
values, and all its safe characters are taken away in one C call: when what remains is what the
format itself put there, nothing unsafe came from outside. Otherwise the line is built again, with
every value escaped.

`atoms` is the other road: the dictionary that ``Logger.atoms`` gives to subclasses.
"""

from __future__ import annotations

import binascii
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import getpid
from typing import Any

from gunicorn import compiled
from gunicorn.errors import ConfigError
from gunicorn.logs.escape import SAFE_BYTES, escape

if compiled.available():
    from gunicorn.logs import _line

Environ = Mapping[str, Any]
#: (resp, req, environ, seconds) -> the line, with its newline.
Renderer = Callable[[Any, Any, Environ, float], bytes]
LineBuilder = Callable[[Any, Any, Environ, float], str]

#: What stands where there is nothing to show.
NOTHING = "-"
#: The value of access_log_format that asks for a JSON object a request.
JSON = "json"
APACHE_TIME = "[%d/%b/%Y:%H:%M:%S %z]"
ISO_TIME = "%Y-%m-%dT%H:%M:%S%z"

# One directive of a %-format (as str % mapping reads it): %(key)s, %(key)-6d, or %%.
_DIRECTIVE = re.compile(
    r"%(?:(?P<percent>%)"
    r"|\((?P<key>[^()]*)\)(?P<conversion>[-#0 +]*[0-9]*(?:\.[0-9]+)?[hlL]?[a-zA-Z]))"
)

# The expression of each atom, to stand inside f"...": no double quote, no backslash in it.
# These show what a client chose:
_FOREIGN = {
    "h": "environ.get('REMOTE_ADDR') or '-'",
    "r": "request_line(environ)",
    "m": "environ.get('REQUEST_METHOD') or '-'",
    "U": "environ.get('PATH_INFO') or '-'",
    "q": "environ.get('QUERY_STRING') or ''",
    "H": "environ.get('SERVER_PROTOCOL') or '-'",
    "u": "user(environ) if 'HTTP_AUTHORIZATION' in environ else '-'",
    "f": "environ.get('HTTP_REFERER') or '-'",
    "a": "environ.get('HTTP_USER_AGENT') or '-'",
}
# {name}i, {name}o and {name}e likewise: a request field, a response field, an environ variable.
_NAMED = {
    "i": "field(req.headers, {name})",
    "o": "field(resp.headers, {name})",
    "e": "variable(environ, {name})",
}
# These are our own words,
_OWN = {
    "l": "'-'",
    "t": "timestamp()",
    "s": "resp.status_code",
    "b": "'-' if resp.sent is None else resp.sent",
    "L": "'%.6f' % seconds",
    "p": "'<%d>' % getpid()",
}
# and these numbers, which may be shown by %(D)d and its like.
_NUMBERS = {
    "B": "resp.sent or 0",
    "T": "int(seconds)",
    "M": "int(seconds * 1000)",
    "D": "int(seconds * 1000000)",
}
_TEXT_CONVERSIONS = "sra"
_NUMBER_CONVERSIONS = "sradiouxXeEfFgG"


def user(environ: Environ) -> str:
    """The user name of Basic credentials (RFC 7617); ``-`` without any."""
    authorization = environ.get("HTTP_AUTHORIZATION")
    if not authorization:
        return NOTHING
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return NOTHING
    import base64  # noqa: PLC0415 - rarely needed, and slow to import

    try:
        decoded = base64.b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return NOTHING
    return decoded.partition(b":")[0].decode("latin-1") or NOTHING


def request_line(environ: Environ) -> str:
    """The request line as it came: method, request target, protocol version."""
    get = environ.get
    return f"{get('REQUEST_METHOD')} {get('RAW_URI')} {get('SERVER_PROTOCOL')}"


def status(resp: Any) -> str:
    """The status code of `resp`, which may be an int, ``200 OK`` or bytes of it."""
    value = resp.status
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return value.split(None, 1)[0] if isinstance(value, str) and value else str(value)


def field(fields: Iterable[tuple[str, Any]], name: str) -> str:
    """The value of the fields called `name` (lower case); several are joined (RFC 9110, 5.3)."""
    values = [str(value) for key, value in fields if key.lower() == name]
    return ", ".join(values) if values else NOTHING


def variable(environ: Environ, name: str) -> str:
    """The environ variable `name` (lower case), in whichever case it is written there."""
    value = environ.get(name.upper())
    if value is None:
        value = environ.get(name)
    return NOTHING if value is None else str(value)


class Clock:
    """A time stamp in local time, rendered once a second by the strftime format `form`."""

    def __init__(self, form: str = APACHE_TIME) -> None:
        self._form = form
        self._current: tuple[int, str] = (-1, "")

    def __call__(self) -> str:
        second = int(time.time())
        # One tuple, so that a thread never sees the second of one and the text of another.
        known, text = self._current
        if known != second:
            text = time.strftime(self._form, time.localtime(second))
            self._current = (second, text)
        return text


def atoms(resp: Any, req: Any, environ: Environ, seconds: float, timestamp: str) -> dict[str, Any]:
    """Every atom of one request by name, unescaped: what ``Logger.atoms`` returns."""
    values: dict[str, Any] = {
        "h": environ.get("REMOTE_ADDR") or NOTHING,
        "l": NOTHING,
        "u": user(environ),
        "t": timestamp,
        "r": request_line(environ),
        "s": status(resp),
        "m": environ.get("REQUEST_METHOD"),
        "U": environ.get("PATH_INFO"),
        "q": environ.get("QUERY_STRING"),
        "H": environ.get("SERVER_PROTOCOL"),
        "b": NOTHING if resp.sent is None else str(resp.sent),
        "B": resp.sent,
        "f": environ.get("HTTP_REFERER") or NOTHING,
        "a": environ.get("HTTP_USER_AGENT") or NOTHING,
        "T": int(seconds),
        "D": int(seconds * 1_000_000),
        "M": int(seconds * 1000),
        "L": f"{seconds:.6f}",
        "p": f"<{getpid()}>",
    }
    for letter, fields in (("i", req.headers), ("o", resp.headers)):
        for name in {key.lower() for key, _ in fields}:
            values[f"{{{name}}}{letter}"] = field(fields, name)
    values.update((f"{{{key.lower()}}}e", value) for key, value in environ.items())
    return values


class SafeAtoms(dict[str, Any]):
    """Atoms made safe to format: text is escaped, and a name that is not there is ``-``.

    Names in braces are looked up without regard to case.
    """

    def __init__(self, atoms: Mapping[str, Any]) -> None:
        super().__init__()
        for key, value in atoms.items():
            self[key] = escape(value) if isinstance(value, str) else value

    def __getitem__(self, key: str) -> Any:
        if key.startswith("{"):
            key = key.lower()
        value = super().get(key, NOTHING)
        return NOTHING if value is None else value


def compile_format(access_format: str, timestamp: Callable[[], str]) -> Renderer:
    """The renderer of `access_format`; its lines end with a newline.

    `timestamp` gives the atom t. ConfigError when the format is malformed.
    """
    if access_format == JSON:
        return _json_renderer(timestamp)
    pieces = list(_parse(access_format))
    raw = _line_builder(pieces, lambda value: value, timestamp)
    escaped = _line_builder(pieces, "escape(str({}))".format, timestamp)
    literal = "".join(text for atom, text in pieces if atom is None) + "\n"
    expected = literal.encode("utf-8", "backslashreplace").translate(None, SAFE_BYTES)

    def render(resp: Any, req: Any, environ: Environ, seconds: float) -> bytes:
        line = raw(resp, req, environ, seconds).encode("utf-8", "backslashreplace")
        if line.translate(None, SAFE_BYTES) == expected:
            return line
        return escaped(resp, req, environ, seconds).encode("utf-8", "backslashreplace")

    steps = _line.plan(pieces) if compiled.available() else None
    return render if steps is None else _line.Line(steps, render, timestamp)


def _line_builder(
    pieces: Iterable[tuple[str | None, str]],
    guard: Callable[[str], str],
    timestamp: Callable[[], str],
) -> LineBuilder:
    """The function that builds a line of `pieces`; `guard` wraps expressions of foreign text."""
    namespace: dict[str, Any] = {
        "escape": escape,
        "field": field,
        "getpid": getpid,
        "request_line": request_line,
        "timestamp": timestamp,
        "user": user,
        "variable": variable,
    }
    parts = [
        repr(text) if atom is None else _expression(atom, text, guard, namespace)
        for atom, text in pieces
    ]
    source = f"def build(resp, req, environ, seconds):\n    return {' '.join(parts)} '\\n'\n"
    exec(source, namespace)  # noqa: S102 - made of our expressions; nothing of a request is in it
    builder: LineBuilder = namespace["build"]
    return builder


def _parse(access_format: str) -> Iterator[tuple[str | None, str]]:
    """Cut a format into pairs (None, literal text) and (atom, conversion)."""
    position = 0
    while (start := access_format.find("%", position)) >= 0:
        if start > position:
            yield None, access_format[position:start]
        match = _DIRECTIVE.match(access_format, start)
        if match is None:
            raise ConfigError(
                f"access_log_format: no directive can be read at {access_format[start:][:20]!r} "
                f"(character {start + 1}). Write %(NAME)s for an atom and %% for a percent sign."
            )
        yield (None, "%") if match["percent"] else (match["key"], match["conversion"])
        position = match.end()
    if position < len(access_format):
        yield None, access_format[position:]


def _expression(
    atom: str, conversion: str, guard: Callable[[str], str], namespace: dict[str, Any]
) -> str:
    """The source of one atom, as an f-string; constants it needs are put into `namespace`.

    What is foreign is guarded last, so that a conversion cannot cut an escape in two.
    """
    value, foreign = _value(atom, namespace)
    allowed = _NUMBER_CONVERSIONS if atom in _NUMBERS else _TEXT_CONVERSIONS
    if conversion[-1] not in allowed:
        raise ConfigError(
            f"access_log_format: %({atom}){conversion} cannot be shown: the atom is "
            f"{'a number' if atom in _NUMBERS else 'text'}. Write %({atom})s."
        )
    if conversion != "s":
        constant = f"conversion_{len(namespace)}"
        namespace[constant] = "%" + conversion
        value = f"{constant} % ({value},)"
    return f'f"{{{guard(value) if foreign else value}}}"'


def _value(atom: str, namespace: dict[str, Any]) -> tuple[str, bool]:
    """The expression of `atom`, and whether it is foreign; that of an unknown one is a dash."""
    if atom in _FOREIGN:
        return _FOREIGN[atom], True
    if atom.startswith("{") and atom[-2:-1] == "}" and atom[-1] in _NAMED:
        constant = f"name_{len(namespace)}"
        namespace[constant] = atom[1:-2].lower()
        return _NAMED[atom[-1]].format(name=constant), True
    return _OWN.get(atom) or _NUMBERS.get(atom) or "'-'", False


def _json_renderer(timestamp: Callable[[], str]) -> Renderer:
    """One JSON object a request; `timestamp` gives the time in ISO 8601.

    The text is put together by hand, from the strings the json module quotes: an encoder called
    for a dictionary takes four times as long.
    """
    from json.encoder import encode_basestring_ascii as quote  # noqa: PLC0415 - for this format only

    def quoted(value: str | None) -> str:
        return quote(value) if value else "null"

    def render(resp: Any, req: Any, environ: Environ, seconds: float) -> bytes:  # noqa: ARG001 - a Renderer
        get = environ.get
        name = user(environ) if "HTTP_AUTHORIZATION" in environ else NOTHING
        sent = "null" if resp.sent is None else resp.sent
        return (
            f'{{"time":"{timestamp()}","remote_addr":{quoted(get("REMOTE_ADDR"))}'
            f',"user":{"null" if name == NOTHING else quote(name)}'
            f',"method":{quoted(get("REQUEST_METHOD"))},"target":{quoted(get("RAW_URI"))}'
            f',"protocol":{quoted(get("SERVER_PROTOCOL"))},"status":{resp.status_code}'
            f',"bytes_sent":{sent},"seconds":{seconds:.6f},"host":{quoted(get("HTTP_HOST"))}'
            f',"referer":{quoted(get("HTTP_REFERER"))}'
            f',"user_agent":{quoted(get("HTTP_USER_AGENT"))},"pid":{getpid()}}}\n'
        ).encode()

    return render
