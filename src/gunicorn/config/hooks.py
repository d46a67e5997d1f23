"""Hooks: functions of the user's that the server calls at fixed points of its life.

A hook with the wrong number of parameters would fail long after the start, in a worker or at a
reload. So the parameters are checked when the hook is set.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from gunicorn.config.declaration import Declaration, Validator

Hook = Callable[..., Any]


def hook(
    name: str, parameters: tuple[str, ...], text: str, *, supported: bool = True
) -> Declaration:
    """Declare a hook that is called with `parameters`, in that order. Unset, it does nothing."""
    return Declaration(
        name=name,
        validator=callable_taking(parameters),
        help=text,
        default=_unset(name),
        default_text="does nothing",
        hook_parameters=parameters,
        supported=supported,
    )


def callable_taking(parameters: tuple[str, ...], fewest: int | None = None) -> Validator:
    """Accept callables with these parameters.

    With `fewest`, a function that takes only the first ones, down to that many, is accepted too
    and is called with those.
    """
    counts = range(len(parameters), (fewest or len(parameters)) - 1, -1)

    def validate(value: Any) -> Hook:
        function = _imported(value) if isinstance(value, str) else value
        if not callable(function):
            raise ValueError(f"expected a function of ({', '.join(parameters)})")  # noqa: TRY004
        for count in counts:
            if _accepts(function, count):
                return function if count == len(parameters) else _called_with(function, count)
        import inspect  # noqa: PLC0415 - rarely needed, and slow to import

        raise ValueError(
            f"expected a function of {len(parameters)} "
            f"parameter{'s' * (len(parameters) > 1)} ({', '.join(parameters)}); "
            f"{_title(function)} is a function of {inspect.signature(function)}"
        )

    return validate


def _unset(name: str) -> Hook:
    def call(*_: Any) -> None:
        """Do nothing."""

    call.__name__ = call.__qualname__ = name
    return call


def _accepts(function: Hook, count: int) -> bool:
    import inspect  # noqa: PLC0415 - slow to import, and of no use without hooks

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Some built-in functions do not tell their parameters: only calling them would.
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _called_with(function: Hook, count: int) -> Hook:
    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return function(*args[:count])

    return call


def _imported(dotted: str) -> Any:
    module_name, _, attribute = dotted.strip().replace(":", ".").rpartition(".")
    if not module_name:
        raise ValueError("expected a function, or a dotted path to one")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as exc:
        raise ValueError(f"expected a function, or a dotted path to one ({exc})") from exc


def _title(function: Hook) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
