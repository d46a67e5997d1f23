"""What is known about a setting before anyone has given it a value.

A declaration is data. The command line, --help, validation and the reference page are all worked
out from it, so a setting is described in exactly one place: its file in `gunicorn.config.settings`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

Validator = Callable[[Any], Any]
"""Turns a value as a user wrote it into the value the server uses.

Raises ValueError whose message says what is allowed.
"""

Action = Literal["store", "append", "store_true", "store_false"]


class Declaration(NamedTuple):
    """One setting: its names, its values and its meaning.

    `default` must not be changed by anyone who gets it; `default_factory` replaces it where the
    value depends on the process (its folder, its user), and `default_text` then says in words what
    it is. `variable` names the environment variable that changes the default, and `from_variable`
    reads it. `const` is the value of a flag that may stand alone or take a value. A setting that
    is not `supported` accepts its default only.
    """

    name: str
    validator: Validator
    help: str
    default: Any = None
    default_factory: Callable[[], Any] | None = None
    default_text: str | None = None
    cli: tuple[str, ...] = ()
    meta: str | None = None
    action: Action = "store"
    const: str | None = None
    variable: str | None = None
    from_variable: Callable[[str], Any] = str
    supported: bool = True
    hook_parameters: tuple[str, ...] | None = None

    def initial(self) -> Any:
        """The default in this process, as a user would write it."""
        return self.default if self.default_factory is None else self.default_factory()

    @property
    def summary(self) -> str:
        """The first sentence of the help."""
        head, stop, _ = " ".join(self.help.split()).partition(". ")
        return head + (stop.strip() or "")


class Section(NamedTuple):
    """Settings that are read together, in the order in which people should meet them."""

    title: str
    settings: tuple[Declaration, ...]
