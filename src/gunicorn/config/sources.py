"""Bringing settings in from outside, the weakest source first.

Defaults (and the variables that change them) < framework settings < configuration file
< GUNICORN_CMD_ARGS < command line.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from typing import Any

from gunicorn.config.cli import CommandLineParser
from gunicorn.config.config import Config
from gunicorn.config.file import DEFAULT_FILE, Assignment, read_configuration
from gunicorn.config.validators import command_line
from gunicorn.errors import ConfigError

ARGUMENTS_VARIABLE = "GUNICORN_CMD_ARGS"


def variable_arguments(parser: CommandLineParser, environ: Mapping[str, str]) -> argparse.Namespace:
    """The arguments in GUNICORN_CMD_ARGS; ends the process with a usage error when wrong."""
    try:
        words = command_line(ARGUMENTS_VARIABLE, environ.get(ARGUMENTS_VARIABLE, ""))
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc
    parser.context = f"in {ARGUMENTS_VARIABLE}: "
    try:
        return parser.parse_args(words)
    finally:
        parser.context = ""


def merged(variable: argparse.Namespace, options: argparse.Namespace) -> argparse.Namespace:
    """What was given in GUNICORN_CMD_ARGS and on the command line, which has precedence."""
    given = {name: value for name, value in vars(options).items() if value not in (None, [], {})}
    return argparse.Namespace(**{**vars(variable), **given})


def flag_assignments(options: argparse.Namespace, origin: str = "flag") -> list[Assignment]:
    """The settings that flags gave; `origin` is put before the flag in the source."""
    return [
        Assignment(name, getattr(options, name), f"{origin} {flag}")
        for name, flag in options.flags.items()
    ]


def framework_assignments(settings: Mapping[str, Any]) -> list[Assignment]:
    """The settings of a framework, which may name some that are not set by None."""
    return [
        Assignment(name.lower(), value, "framework settings")
        for name, value in settings.items()
        if value is not None
    ]


def file_assignments(config: Config, location: str | None) -> list[Assignment]:
    """The settings of the configuration file; none when there is no file and none was named."""
    if location is None:
        if not os.path.isfile(DEFAULT_FILE):
            return []
        location = os.path.join(".", DEFAULT_FILE)
    return read_configuration(location, config)


def apply(config: Config, assignments: Iterable[Assignment]) -> None:
    """Give the settings their values. Raises ConfigError at the first that is wrong."""
    for item in assignments:
        config.set(item.name, item.value, item.source)
