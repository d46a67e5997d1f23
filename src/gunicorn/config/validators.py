"""From what a user wrote to what the server uses.

Every function here takes a value of any type and returns the checked one, or raises ValueError
with a phrase that completes "expected ...". Whoever calls adds which setting it was and where the
value came from. Strings are accepted wherever the command line or the environment can be the
source.
"""

from __future__ import annotations

import grp
import ipaddress
import logging
import math
import os
import pwd
import re
from collections.abc import Callable, Mapping
from typing import Any

from gunicorn import compiled
from gunicorn.config.address import parse_address
from gunicorn.cpus import usable_cpus

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def boolean(value: Any) -> bool:
    """True, False, or one of the words for them."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    raise ValueError("expected True or False")


def optional_boolean(value: Any) -> bool | None:
    """As `boolean`; None leaves the choice to the server."""
    return None if value is None else boolean(value)


def _whole_number(value: Any) -> int | None:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        text = value.strip()
        for base in (10, 0):
            try:
                return int(text, base)
            except ValueError:
                continue
    return None


def integer(minimum: int = 0, maximum: int | None = None) -> Callable[[Any], int]:
    """A whole number within bounds, as an int or as digits."""

    def validate(value: Any) -> int:
        number = _whole_number(value)
        if number is None or number < minimum or (maximum is not None and number > maximum):
            upper = "or more" if maximum is None else f"to {maximum}"
            raise ValueError(f"expected a whole number, {minimum} {upper}")
        return number

    return validate


natural = integer(0)

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def size(minimum: int = 0) -> Callable[[Any], int]:
    """A number of bytes, as an int or as text: "65536", "512K", "1M", "1.5G", "2 MiB"."""

    def validate(value: Any) -> int:
        number = _whole_number(value)
        if number is None and isinstance(value, str):
            found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(?:i?B)?", value.strip(), re.I)
            number = round(float(found[1]) * _UNITS[found[2].upper()]) if found else None
        if number is None or number < minimum:
            raise ValueError(
                f"expected a number of bytes such as 65536, 512K or 1M, {minimum} or more"
            )
        return number

    return validate


def seconds(minimum: float = 0.0) -> Callable[[Any], float]:
    """A time in seconds, which may have a fraction."""

    def validate(value: Any) -> float:
        try:
            number = float(value) if isinstance(value, (int, float, str)) else math.nan
        except ValueError:
            number = math.nan
        if not minimum <= number < math.inf:
            raise ValueError(f"expected a number of seconds, {minimum:g} or more")
        return number

    return validate


def worker_count(value: Any) -> int:
    """A whole number, or `auto`: one for each CPU that this process may use."""
    if isinstance(value, str) and value.strip().lower() == "auto":
        return usable_cpus()
    try:
        return natural(value)
    except ValueError:
        raise ValueError("expected a whole number, 0 or more, or 'auto'") from None


def count_or_share(value: Any) -> int | str:
    """A whole number, or a share from 1% to 100% as "25%"."""
    if isinstance(value, str) and value.strip().endswith("%"):
        share = _whole_number(value.strip()[:-1])
        if share is not None and 1 <= share <= 100:
            return f"{share}%"
    else:
        number = _whole_number(value)
        if number is not None and number >= 0:
            return number
    raise ValueError('expected a whole number, 0 or more, or a share such as "25%"')


def field_limit(value: Any) -> int:
    """A number of fields; 0 stands for the largest."""
    return integer(0, 32768)(value) or 32768


def permission_bits(value: Any) -> int:
    """Permission bits: an int, or a string as C or Python write it ("022", "0o22", "18")."""
    number: int | None = None
    if isinstance(value, int):
        number = int(value)
    elif isinstance(value, str):
        text = value.strip().lower()
        octal = text.startswith("0") and text.lstrip("0").isdigit()
        try:
            number = int(text, 8 if octal else 0)
        except ValueError:
            number = None
    if number is None or not 0 <= number <= 0o7777:
        raise ValueError('expected permission bits such as 0o022 or "022"')
    return number


def string(value: Any) -> str:
    """Text, without the blanks around it."""
    if not isinstance(value, str):
        raise ValueError("expected a string")  # noqa: TRY004  every validator raises ValueError
    return value.strip()


def optional_string(value: Any) -> str | None:
    """Text or None."""
    return None if value is None else string(value)


def path(value: Any) -> str:
    """A path, as a string or an os.PathLike object."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("expected a path")
    return value.strip()


def optional_path(value: Any) -> str | None:
    """A path or None."""
    return None if value is None else path(value)


def directory(value: Any) -> str:
    """The absolute path of a folder that exists and may be entered."""
    folder = os.path.abspath(path(value))
    if not os.path.isdir(folder):
        raise ValueError("expected a folder that exists")
    if not os.access(folder, os.X_OK):
        raise ValueError("expected a folder that this process may enter")
    return folder


def optional_directory(value: Any) -> str | None:
    """A folder that exists, or None."""
    return None if value is None else directory(value)


def one_of(*words: str) -> Callable[[Any], str]:
    """One word of a list, in any case."""

    def validate(value: Any) -> str:
        word = value.strip().lower() if isinstance(value, str) else value
        if word not in words:
            raise ValueError(f"expected one of: {', '.join(words)}")
        return str(word)

    return validate


def string_list(value: Any) -> list[str]:
    """A list of strings; one string is a list of one."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple, set, frozenset)) or not all(
        isinstance(item, str) for item in value
    ):
        raise ValueError("expected a string or a list of strings")
    return [item.strip() for item in value if item.strip()]


def comma_list(value: Any) -> list[str]:
    """A list of strings, or strings that hold several with commas between them."""
    return [part.strip() for item in string_list(value) for part in item.split(",") if part.strip()]


def mount_point(value: Any) -> str:
    """An absolute path without the slash at its end; nothing for the root."""
    text = string(value).rstrip("/")
    if text and not text.startswith("/"):
        raise ValueError("expected a path that begins with /")
    return text


def path_list(value: Any) -> list[str]:
    """A list of paths."""
    if isinstance(value, os.PathLike):
        value = [value]
    if isinstance(value, (list, tuple)):
        value = [os.fspath(item) if isinstance(item, os.PathLike) else item for item in value]
    return string_list(value)


def networks(value: Any) -> list[str]:
    """IP addresses and networks, or `*` for every peer."""
    found = comma_list(value)
    for item in found:
        if item == "*":
            continue
        try:
            ipaddress.ip_network(item)
        except ValueError as exc:
            raise ValueError(
                f"expected IP addresses or networks such as 10.0.0.0/8, or * ({exc})"
            ) from exc
    return found


def addresses(value: Any) -> list[str]:
    """Addresses to listen on; each must be one that `parse_address` can read."""
    found = comma_list(value)
    if not found:
        raise ValueError("expected at least one HOST:PORT, unix:PATH or fd://N")
    for item in found:
        parse_address(item)
    return found


def assignments(value: Any) -> list[str]:
    """NAME=VALUE strings. A single string may hold several, in shell quoting."""
    if isinstance(value, Mapping):
        value = [f"{name}={content}" for name, content in value.items()]
    elif isinstance(value, str):
        value = [value]
    found = string_list(value)
    for item in found:
        name, equals, _ = item.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"expected NAME=VALUE, got {item!r}")
    return found


def user(value: Any) -> int:
    """A user's id, from the id or the name. None is the user of this process."""
    if value is None:
        return os.geteuid()
    number = _whole_number(value)
    if number is not None:
        return _system_id(number)
    try:
        return pwd.getpwnam(string(value)).pw_uid
    except KeyError:
        raise ValueError("expected the name or the id of a user; no such user") from None


def group(value: Any) -> int:
    """A group's id, from the id or the name. None is the group of this process."""
    if value is None:
        return os.getegid()
    number = _whole_number(value)
    if number is not None:
        return _system_id(number)
    try:
        return grp.getgrnam(string(value)).gr_gid
    except KeyError:
        raise ValueError("expected the name or the id of a group; no such group") from None


def _system_id(number: int) -> int:
    if not 0 <= number < 2**32 - 1:
        raise ValueError("expected an id from 0 to 4294967294")
    return number


def mapping(value: Any) -> dict[Any, Any]:
    """A dictionary."""
    if not isinstance(value, Mapping):
        raise ValueError("expected a dictionary")  # noqa: TRY004  every validator raises ValueError
    return dict(value)


def scheme_headers(value: Any) -> dict[str, str]:
    """Field names and the value of each that means https; names are put in upper case."""
    found = mapping(value)
    if not all(isinstance(item, str) for pair in found.items() for item in pair):
        raise ValueError('expected a dictionary such as {"X-FORWARDED-PROTO": "https"}')
    return {name.strip().upper(): content for name, content in found.items()}


def field_names(value: Any) -> list[str]:
    """Request field names, in upper case."""
    return [name.upper() for name in comma_list(value)]


def class_or_name(value: Any) -> Any:
    """A class, or the name of one; it is imported when it is needed."""
    if isinstance(value, type):
        return value
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ValueError("expected a name, a dotted path to a class, or a class")


def log_level(value: Any) -> str:
    """The name of a level that the logging module knows."""
    text = string(value).lower()
    if not isinstance(logging.getLevelName(text.upper()), int):
        raise ValueError(  # noqa: TRY004  every validator raises ValueError
            "expected one of: debug, info, warning, error, critical"
        )
    return text


def syslog_address(value: Any) -> str:
    """`udp://HOST:PORT`, `tcp://HOST:PORT` or `unix://PATH#stream`."""
    text = string(value)
    scheme, found, rest = text.partition("://")
    if not found or scheme not in ("udp", "tcp", "unix") or not rest:
        raise ValueError("expected udp://HOST:PORT, tcp://HOST:PORT or unix://PATH")
    if scheme == "unix":
        _, mark, kind = rest.partition("#")
        if mark and kind not in ("stream", "dgram"):
            raise ValueError("expected unix://PATH#stream or unix://PATH#dgram")
    elif isinstance(parse_address(rest, default_port=514), (str, int)):
        raise ValueError("expected udp://HOST:PORT, tcp://HOST:PORT or unix://PATH")
    return text


# What follows are constants of the modules logging.handlers and ssl, which are slow to import.
_FACILITIES = (
    *("auth", "authpriv", "console", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news"),
    *("ntp", "security", "solaris-cron", "syslog", "user", "uucp"),
    *(f"local{number}" for number in range(8)),
)
_CERTIFICATE_DEMANDS = {"CERT_NONE": 0, "CERT_OPTIONAL": 1, "CERT_REQUIRED": 2}
_NEGOTIATING = {"PROTOCOL_TLS": 2, "PROTOCOL_TLS_CLIENT": 16, "PROTOCOL_TLS_SERVER": 17}


def syslog_facility(value: Any) -> str:
    """The name of a syslog facility (RFC 5424, 6.2.1)."""
    name = string(value).lower()
    if name not in _FACILITIES:
        raise ValueError(f"expected one of: {', '.join(sorted(_FACILITIES))}")
    return name


def certificate_demand(value: Any) -> int:
    """A value of ssl.VerifyMode: the enumeration, its number, or its name."""
    if isinstance(value, str) and value.strip().upper() in _CERTIFICATE_DEMANDS:
        return _CERTIFICATE_DEMANDS[value.strip().upper()]
    number = _whole_number(value)
    if number not in _CERTIFICATE_DEMANDS.values() or number is None:
        raise ValueError("expected 0 (CERT_NONE), 1 (CERT_OPTIONAL) or 2 (CERT_REQUIRED)")
    return number


def tls_version(value: Any) -> int:
    """Only the protocol that negotiates the version."""
    number = _whole_number(value)
    if number in _NEGOTIATING.values() or value in ("TLS", "TLS_SERVER", "PROTOCOL_TLS"):
        return _NEGOTIATING["PROTOCOL_TLS"]
    raise ValueError(
        "the version is negotiated; bound it with minimum_version in the ssl_context hook"
    )


def proxy_mode(value: Any) -> str:
    """Which versions of the PROXY protocol to expect; True and False are auto and off."""
    word = value.strip().lower() if isinstance(value, str) else value
    if word in (True, "true"):
        return "auto"
    if word in (False, None, "false"):
        return "off"
    return one_of("off", "v1", "v2", "auto")(word)


def request_parser(value: Any) -> str:
    """Which implementation reads request heads; `fast` must be there to be chosen."""
    word = one_of("auto", "fast", "python")(value)
    if word == "fast" and not compiled.available():
        raise ValueError(
            "the compiled parser is not part of this installation; use 'auto' or 'python'"
        )
    return word


def command_line(variable: str, text: str) -> list[str]:
    """The words of an environment variable that holds arguments."""
    if not text:
        return []
    import shlex  # noqa: PLC0415 - rarely needed, and slow to import

    try:
        return shlex.split(text)
    except ValueError as exc:
        raise ValueError(f"{variable} cannot be read as arguments: {exc}") from exc
