"""From a name to a class: workers and loggers."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from gunicorn.errors import ConfigError

WORKERS = {
    "sync": "gunicorn.workers.sync.SyncWorker",
    "gthread": "gunicorn.workers.gthread.ThreadWorker",
    "gevent": "gunicorn.workers.ggevent.GeventWorker",
    "gevent_wsgi": "gunicorn.workers.ggevent.GeventWorker",
    "gevent_pywsgi": "gunicorn.workers.ggevent.GeventWorker",
    "eventlet": "gunicorn.workers.geventlet.EventletWorker",
    "tornado": "gunicorn.workers.gtornado.TornadoWorker",
    "asgi": "gunicorn.workers.gasgi.ASGIWorker",
}
"""The short names of worker classes."""

_EXTRAS = ("gevent", "eventlet", "tornado")


def worker_class(value: Any) -> Any:
    """The worker class of that name. Raises ConfigError saying what to do when there is none."""
    if isinstance(value, type):
        return value
    name = _without_own_egg(value)
    dotted = WORKERS.get(name, name)
    if name != dotted and not _has_module(dotted.rpartition(".")[0]):
        raise ConfigError(f"worker class {name!r} is not supported yet")
    return load_class(dotted, "worker class", name)


def is_own(worker_class_str: str) -> bool:
    """Whether a worker class is one of this package, by the name that it was given."""
    name = _without_own_egg(worker_class_str)
    return name in WORKERS or name.startswith("gunicorn.")


def logger_class(value: Any) -> Any:
    """The logger class of that name."""
    return value if isinstance(value, type) else load_class(value, "logger class", value)


def load_class(dotted: str, role: str, name: str) -> Any:
    """Import `package.module.Class` or `egg:distribution#entry-point`."""
    if dotted.startswith("egg:"):
        return _entry_point(dotted, role)
    module_name, _, attribute = dotted.replace(":", ".").rpartition(".")
    if not module_name:
        known = f"; known are {', '.join(WORKERS)}" if role == "worker class" else ""
        raise ConfigError(f"{role} {name!r} is neither known nor a dotted path to a class{known}")
    try:
        module = importlib.import_module(module_name)
    except ImportError as exc:
        raise ConfigError(_import_message(exc, role, name)) from exc
    try:
        found = getattr(module, attribute)
    except AttributeError:
        raise ConfigError(f"{role} {name!r}: {module_name} has no {attribute!r}") from None
    if not callable(found):
        # A package may put None where a class is that it could not import itself.
        raise ConfigError(f"{role} {name!r}: {module_name}.{attribute} is {found!r}, not a class")
    return found


def _import_message(exc: ImportError, role: str, name: str) -> str:
    package = (exc.name or "").partition(".")[0]
    if package in _EXTRAS:
        return f"{role} {name!r} needs the package {package}: pip install gunicorn[{package}]"
    return f"{role} {name!r} cannot be imported: {exc}"


def _entry_point(egg: str, role: str) -> Any:
    import importlib.metadata  # noqa: PLC0415 - rarely needed, and slow to import

    distribution, _, name = egg.removeprefix("egg:").partition("#")
    group = "gunicorn.workers" if role == "worker class" else "gunicorn.loggers"
    try:
        found = importlib.metadata.distribution(distribution).entry_points
    except importlib.metadata.PackageNotFoundError as exc:
        raise ConfigError(f"{role} {egg!r}: {distribution!r} is not installed") from exc
    for entry in found.select(group=group, name=name or "sync"):
        return entry.load()
    raise ConfigError(f"{role} {egg!r}: {distribution!r} has no {name!r} in {group}")


def _without_own_egg(name: str) -> str:
    return name.removeprefix("egg:gunicorn#")


def _has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
