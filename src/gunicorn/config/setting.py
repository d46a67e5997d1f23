"""A setting with its value, and where that came from."""

from __future__ import annotations

from typing import Any

from gunicorn.config.declaration import Declaration
from gunicorn.errors import ConfigError

_LONGEST_SHOWN = 120


class Setting:
    """One setting of one configuration.

    `value` is the checked value. `source` says in words where it came from (a flag, a variable, a
    file and line) and is None while the value is the built-in default.
    """

    def __init__(self, declaration: Declaration, section: str) -> None:
        self.declaration = declaration
        self.section = section
        self.default: Any = declaration.validator(declaration.initial())
        self.value: Any = self.default
        self.source: str | None = None

    def __repr__(self) -> str:
        return f"<Setting {self.name}={self.value!r} from {self.source or 'the default'}>"

    @property
    def name(self) -> str:
        """The name in a configuration file, and of the attribute of Config."""
        return self.declaration.name

    @property
    def cli(self) -> tuple[str, ...]:
        """The flags of the command line; none for settings of the configuration file only."""
        return self.declaration.cli

    @property
    def meta(self) -> str | None:
        """What --help calls the value."""
        return self.declaration.meta

    @property
    def desc(self) -> str:
        """What the setting means."""
        return self.declaration.help

    @property
    def is_default(self) -> bool:
        """True while no source has given a value."""
        return self.source is None

    def get(self) -> Any:
        """The checked value."""
        return self.value

    def set(self, value: Any, source: str | None = None) -> None:
        """Check and take a value. Raises ConfigError naming the value, its source and the rule."""
        origin = source or "set by the application"
        try:
            checked = self.declaration.validator(value)
        except ValueError as exc:
            raise ConfigError(f"{self.name} = {shown(value)} ({origin}): {exc}") from exc
        if not self.declaration.supported and checked != self.default:
            raise ConfigError(
                f"setting {self.name!r} is not supported yet: "
                f"{shown(value)} ({origin}) must be left at its default"
            )
        self.value = checked
        self.source = origin

    def set_from_environment(self, text: str) -> None:
        """Take the value that an environment variable gives the default."""
        variable = self.declaration.variable
        self.set(self.declaration.from_variable(text), f"environment variable {variable}")
        self.default = self.value


def shown(value: Any) -> str:
    """A value in a message: functions by their name, long ones cut."""
    if callable(value):
        return f"<{getattr(value, '__qualname__', None) or type(value).__qualname__}()>"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
