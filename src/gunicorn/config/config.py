"""The configuration of one server: every setting with its value, and what follows from them.

A setting is an attribute (`cfg.workers`). A few names give more than the plain value: the worker
class itself rather than its name, addresses rather than their text. Reading is not made to be fast;
what runs for every request reads its settings once, at start.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from typing import Any

from gunicorn.config import classes
from gunicorn.config.address import Address, parse_address
from gunicorn.config.cli import CommandLineParser, build_parser
from gunicorn.config.setting import Setting, shown
from gunicorn.config.settings import SECTIONS
from gunicorn.errors import ConfigError

_SIMILAR = 0.85


class UnknownSettingError(ConfigError, AttributeError):
    """There is no setting of that name."""


class Config:
    """Every setting, at its default until a source sets it.

    `usage` and `prog` are those of the command-line parser. `environ` is where WEB_CONCURRENCY and
    its like are looked up: the environment of the process unless given. Raises ConfigError when
    such a variable is wrong.
    """

    settings: dict[str, Setting]

    def __init__(
        self,
        usage: str | None = None,
        prog: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = {
            declaration.name: Setting(declaration, section.title)
            for section in SECTIONS
            for declaration in section.settings
        }
        self.usage = usage
        self.prog = prog or "gunicorn"
        self._read_variables(os.environ if environ is None else environ)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "settings":
            raise AttributeError(name)
        return self._setting(name).get()

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "settings" and name in self.settings:
            self.set(name, value)
        elif name not in _OWN and similar_setting(name):
            raise self._unknown(name)
        else:
            super().__setattr__(name, value)

    def __iter__(self) -> Iterator[Setting]:
        return iter(self.settings.values())

    def __str__(self) -> str:
        """Every setting on a line of its own, sorted: what --print-config shows."""
        width = max(map(len, self.settings))
        return "\n".join(
            f"{name:<{width}} = {_shown(self.settings[name].get())}"
            for name in sorted(self.settings)
        )

    def set(self, name: str, value: Any, source: str | None = None) -> None:
        """Check a value and take it. `source` says where it came from, for messages.

        Raises ConfigError; for an unknown name it is an AttributeError, too.
        """
        self._setting(name).set(value, source)

    def parser(self) -> CommandLineParser:
        """The parser of the command line, made from the declarations."""
        return build_parser(self.usage, self.prog)

    # What follows from settings

    @property
    def worker_class_str(self) -> str:
        """The worker class as it was named; `gthread` for sync with several threads."""
        value = self.settings["worker_class"].get()
        if isinstance(value, type):
            return f"{value.__module__}.{value.__qualname__}"
        return "gthread" if value == "sync" and self.threads > 1 else str(value)

    @property
    def worker_class(self) -> Any:
        """The class of workers. Raises ConfigError when it cannot be imported."""
        value = self.settings["worker_class"].get()
        return value if isinstance(value, type) else classes.worker_class(self.worker_class_str)

    @property
    def logger_class(self) -> Any:
        """The class of the logger. Raises ConfigError when it cannot be imported."""
        return classes.logger_class(self.settings["logger_class"].get())

    @property
    def address(self) -> list[Address]:
        """The addresses of `bind`: (host, port), a path, or the number of a descriptor."""
        return [parse_address(text) for text in self.bind]

    @property
    def uid(self) -> int:
        """The id of the user that workers run as."""
        return int(self.user)

    @property
    def gid(self) -> int:
        """The id of the group that workers run as: with `user` alone, that of this user."""
        user = self.settings["user"]
        if self.settings["group"].is_default and user.get() != user.default:
            try:
                return pwd.getpwuid(self.uid).pw_gid
            except KeyError:
                # Of a user that has no entry the group is unknown.
                return int(self.group)
        return int(self.group)

    @property
    def proc_name(self) -> str:
        """The name in process titles."""
        return self.settings["proc_name"].get() or str(self.default_proc_name)

    @property
    def sendfile(self) -> bool:
        """Whether os.sendfile may be used."""
        value = self.settings["sendfile"].get()
        return True if value is None else bool(value)

    @property
    def env(self) -> dict[str, str]:
        """The variables of `raw_env`."""
        return _pairs(self.raw_env)

    @property
    def paste_global_conf(self) -> dict[str, str]:
        """The entries of `raw_paste_global_conf`."""
        return _pairs(self.raw_paste_global_conf)

    @property
    def is_ssl(self) -> bool:
        """Whether listeners speak TLS."""
        return bool(self.certfile or self.keyfile or self.has_ssl_context_hook)

    @property
    def has_ssl_context_hook(self) -> bool:
        """Whether the `ssl_context` hook is the user's, who need not name a certificate then."""
        hook = self.settings["ssl_context"]
        return hook.value is not hook.default

    @property
    def ssl_options(self) -> dict[str, Any]:
        """The values of the settings of the section SSL, by name, without those not set."""
        return {
            setting.name: setting.get()
            for setting in self
            if setting.section == "SSL" and setting.get() is not None
        }

    def check(self) -> None:
        """Look at what no setting can tell by itself. Raises ConfigError.

        Files that the server will read must exist, seen from `chdir`; a key needs a certificate.
        """
        for name in ("certfile", "keyfile", "ca_certs", "logconfig", "logconfig_json"):
            self._check_file(self.settings[name])
        if self.keyfile and not self.certfile:
            setting = self.settings["keyfile"]
            raise ConfigError(f"keyfile = {self.keyfile!r} ({setting.source}) needs certfile")
        if self.cert_reqs and self.certfile and not self.ca_certs:
            setting = self.settings["cert_reqs"]
            raise ConfigError(f"cert_reqs = {self.cert_reqs!r} ({setting.source}) needs ca_certs")

    def _check_file(self, setting: Setting) -> None:
        if setting.get() is None:
            return
        path = os.path.join(self.chdir, setting.get())
        if not os.path.isfile(path):
            raise ConfigError(
                f"{setting.name} = {setting.get()!r} ({setting.source}): there is no file {path}"
            )
        if not os.access(path, os.R_OK):
            raise ConfigError(
                f"{setting.name} = {setting.get()!r} ({setting.source}): may not read {path}"
            )

    def _read_variables(self, environ: Mapping[str, str]) -> None:
        for setting in self:
            variable = setting.declaration.variable
            text = environ.get(variable, "") if variable else ""
            if text.strip():
                setting.set_from_environment(text)

    def _setting(self, name: str) -> Setting:
        try:
            return self.settings[name]
        except KeyError:
            raise self._unknown(name) from None

    @staticmethod
    def _unknown(name: str) -> UnknownSettingError:
        near = similar_setting(name)
        hint = f"; did you mean {near!r}?" if near else ""
        return UnknownSettingError(f"there is no setting {name!r}{hint}")


def similar_setting(name: str) -> str | None:
    """The setting whose name someone who wrote `name` may have meant."""
    if name in _NAMES:
        return None
    import difflib  # noqa: PLC0415 - rarely needed, and slow to import

    near = difflib.get_close_matches(name, _NAMES, 1, _SIMILAR)
    return near[0] if near else None


def _shown(value: Any) -> str:
    return shown(value) if callable(value) else str(value)


def _pairs(items: list[str]) -> dict[str, str]:
    return {name.strip(): value for name, _, value in (item.partition("=") for item in items)}


_OWN = ("settings", "usage", "prog")
_NAMES = frozenset(setting.name for section in SECTIONS for setting in section.settings)

__all__ = ["Config", "UnknownSettingError", "similar_setting"]
