"""What a client sent, made safe to stand in a line of a log.

A client chooses its path, its fields and its user name, so it must not be able to end a quoted
value, start a line or steer a terminal. Printable ASCII stands as it is; ``"`` and ``\\`` get a
backslash; every other character becomes ``\\xhh`` (``\\uhhhh`` above U+00FF), so a line is always
plain ASCII and can be undone. WSGI strings hold one byte a character (PEP 3333), hence
``\\xc3\\xa9`` for an é that arrived as UTF-8.
"""

from __future__ import annotations

import re

#: The characters that stand for themselves.
SAFE_BYTES = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')

_UNSAFE = re.compile(r"[^ !#-\[\]-~]")
_is_unsafe = _UNSAFE.search


def _escape_character(match: re.Match[str]) -> str:
    character = match.group()
    if character in '"\\':
        return "\\" + character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def escape(text: str) -> str:
    """`text` with quotes, backslashes, control and non-ASCII characters escaped."""
    if _is_unsafe(text) is None:
        return text
    return _UNSAFE.sub(_escape_character, text)
