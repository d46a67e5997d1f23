"""Which kind of application a worker was given, so that the wrong kind fails with a name.

A Tornado or an ASGI application can be called, so it passes for a WSGI callable until the first
request. Nothing is imported to tell: an application of a framework has imported it.
"""

from __future__ import annotations

import sys
from typing import Any

from gunicorn.errors import AppImportError


def is_tornado(app: Any) -> bool:
    """Whether `app` answers requests of tornado.httpserver."""
    httputil, wsgi = sys.modules.get("tornado.httputil"), sys.modules.get("tornado.wsgi")
    return (httputil is not None and isinstance(app, httputil.HTTPServerConnectionDelegate)) or (
        wsgi is not None and isinstance(app, wsgi.WSGIContainer)
    )


def is_asgi(app: Any) -> bool:
    """Whether calling `app` makes a coroutine, as with an ASGI 3 application."""
    import inspect  # noqa: PLC0415 - slow to import; the application has done so

    call = app if inspect.isroutine(app) else type(app).__call__
    return inspect.iscoroutinefunction(call)


def check_wsgi(app: Any, worker_class: str) -> None:
    """Raise AppImportError when `app` is of another interface than WSGI."""
    if is_tornado(app):
        raise AppImportError(
            f"this is a Tornado application, and worker class {worker_class!r} serves WSGI"
            " callables. Use worker class 'tornado'."
        )
    if is_asgi(app):
        raise AppImportError(
            f"this is a coroutine function or an ASGI application, and worker class"
            f" {worker_class!r} serves WSGI callables. Use a worker class for ASGI, such as"
            " 'uvicorn_worker.UvicornWorker' of the package uvicorn-worker."
        )
