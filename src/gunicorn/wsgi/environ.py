"""The parts of an environ that do not change from request to request.

What is the same for all requests of a process, and what is the same for all of a connection, is
put into a dictionary once; a request starts from a copy of it.
"""

from __future__ import annotations

from typing import Any

from gunicorn.wsgi.file_wrapper import FileWrapper
from gunicorn.wsgi.input import EmptyInput

EMPTY_INPUT = EmptyInput()


def process_variables(
    *, software: str, errors: Any, multithread: bool, multiprocess: bool
) -> dict[str, Any]:
    """What every request of a process has; `errors` is the stream `wsgi.errors`."""
    return {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": EMPTY_INPUT,
        "wsgi.input_terminated": True,
        "wsgi.errors": errors,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "SERVER_SOFTWARE": software,
        "SCRIPT_NAME": "",
    }


def connection_variables(
    process: dict[str, Any], *, server: Any, peer: Any, socket: Any, secure: bool
) -> dict[str, Any]:
    """What every request of one connection has.

    `server` and `peer` are socket addresses: tuples for TCP, anything else for UNIX sockets,
    which have no name or port to speak of (the Host of each request gives them one).
    """
    variables = process.copy()
    if isinstance(server, tuple):
        variables["SERVER_NAME"] = server[0]
        variables["SERVER_PORT"] = str(server[1])
    else:
        variables["SERVER_NAME"] = ""
        variables["SERVER_PORT"] = ""
    if isinstance(peer, tuple):
        variables["REMOTE_ADDR"] = peer[0]
        variables["REMOTE_PORT"] = str(peer[1])
    else:
        variables["REMOTE_ADDR"] = ""
    if secure:
        variables["wsgi.url_scheme"] = "https"
    variables["gunicorn.socket"] = socket
    return variables


def name_server_by_host(variables: dict[str, Any]) -> None:
    """Take SERVER_NAME and SERVER_PORT from Host, where the listener has none of its own."""
    host: str = variables.get("HTTP_HOST", "")
    name, colon, port = host.rpartition(":")
    if not colon or not (port.isdigit() or not port):
        name, port = host, ""
    default = "443" if variables["wsgi.url_scheme"] == "https" else "80"
    variables["SERVER_NAME"] = name or "localhost"
    variables["SERVER_PORT"] = port or default
