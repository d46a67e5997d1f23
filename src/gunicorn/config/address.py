"""What people write after --bind, and the address that it stands for."""

from __future__ import annotations

Address = tuple[str, int] | str | int
"""A host and a port; the path of a unix socket; or the number of an open descriptor."""

DEFAULT_PORT = 8000


def parse_address(text: str, default_port: int = DEFAULT_PORT) -> Address:
    """Read `HOST`, `HOST:PORT`, `:PORT`, `[IPV6]:PORT`, `unix:PATH` or `fd://N`.

    Without a host it is every IPv4 address (0.0.0.0). Raises ValueError saying what is wrong.
    """
    text = text.strip()
    if text.startswith("unix:"):
        return _unix_path(text)
    if text.startswith("fd://"):
        return _descriptor(text)
    host, port = _split_host(text.removeprefix("tcp://"))
    return host, default_port if port is None else _port(port, text)


def _unix_path(text: str) -> str:
    path = text.removeprefix("unix:")
    if path.startswith("//"):
        path = path[2:]
    if not path:
        raise ValueError("expected a path after 'unix:'")
    return path


def _descriptor(text: str) -> int:
    number = text.removeprefix("fd://")
    if not (number.isascii() and number.isdigit()):
        raise ValueError(f"expected the number of a file descriptor in {text!r}")
    return int(number)


def _split_host(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not host or (rest and not rest.startswith(":")):
            raise ValueError(f"expected [IPV6]:PORT, got {text!r}")
        return host.lower(), rest[1:] if rest else None
    if text.count(":") > 1:
        raise ValueError(f"an IPv6 address needs brackets: [{text}]:PORT")
    host, colon, port = text.partition(":")
    if host.isdigit() and not colon:
        raise ValueError(f"expected HOST:PORT; for port {host} on every address write ':{host}'")
    return host.lower() or "0.0.0.0", port if colon else None  # noqa: S104  that is what :PORT asks


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise ValueError(f"expected a port from 0 to 65535 in {whole!r}")
    return int(text)
