"""logconfig_dict, logconfig_json and logconfig: handed to logging.config, errors explained.

One of them applies; the dictionary goes before JSON, JSON before the ini file. What a configuration
leaves out keeps its default: version 1, and loggers that exist already stay enabled. The loggers
gunicorn.error and gunicorn.access keep the handlers of errorlog and accesslog unless the
configuration names handlers for them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from gunicorn.errors import ConfigError


def configure(cfg: Any) -> bool:
    """Apply the logging configuration of `cfg`; whether there is one. ConfigError when wrong."""
    if cfg.logconfig_dict:
        _apply(cfg.logconfig_dict, "logconfig_dict")
    elif cfg.logconfig_json:
        _apply(_read_json(cfg.logconfig_json), f"logconfig_json ({cfg.logconfig_json})")
    elif cfg.logconfig:
        _apply_ini(cfg.logconfig)
    else:
        return False
    return True


def _read_json(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise ConfigError(f"logconfig_json: cannot read {path!r}: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"logconfig_json: {path!r} is not JSON: {error}.") from error


def _apply(configuration: Any, source: str) -> None:
    import logging.config  # noqa: PLC0415 - rarely needed, and slow to import

    if not isinstance(configuration, Mapping):
        raise ConfigError(f"{source}: a dictionary is needed, not {configuration!r}.")
    defaults: dict[str, Any] = {"version": 1, "disable_existing_loggers": False}
    try:
        logging.config.dictConfig({**defaults, **configuration})
    except (ValueError, TypeError, AttributeError, ImportError, KeyError, OSError) as error:
        raise ConfigError(f"{source}: {_explain(error)}.") from error


def _apply_ini(path: str) -> None:
    import configparser  # noqa: PLC0415 - rarely needed, and slow to import
    import logging.config  # noqa: PLC0415 - the same

    if not os.path.exists(path):
        raise ConfigError(f"logconfig: the file {path!r} does not exist.")
    defaults = {"__file__": os.path.abspath(path), "here": os.path.dirname(os.path.abspath(path))}
    try:
        logging.config.fileConfig(path, defaults=defaults, disable_existing_loggers=False)
    except (
        configparser.Error,
        ValueError,
        TypeError,
        AttributeError,
        ImportError,
        KeyError,
        NameError,
        RuntimeError,
        OSError,
    ) as error:
        raise ConfigError(f"logconfig: {path!r}: {_explain(error)}.") from error


def _explain(error: BaseException) -> str:
    """The message of `error` and of what caused it: logging.config hides the cause behind it."""
    text = f"no such key: {error}" if isinstance(error, KeyError) else str(error)
    return f"{text} ({error.__cause__})" if error.__cause__ is not None else text
