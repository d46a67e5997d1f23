"""PasteDeploy files: the application and the server settings that they name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from gunicorn.config import Config
from gunicorn.config.config import similar_setting
from gunicorn.errors import AppImportError, ConfigError

_OUR_SERVERS = ("egg:gunicorn", "egg:gunicorn#main")


def load_app(cfg: Config) -> Any:
    """The application of the section that `paste` names, FILE or FILE#NAME."""
    path, name = _location(cfg.paste)
    loadwsgi = _loadwsgi()
    try:
        return loadwsgi.loadapp(
            f"config:{path}", name=name, relative_to=cfg.chdir, global_conf=cfg.paste_global_conf
        )
    except LookupError as exc:
        raise AppImportError(f"paste = {cfg.paste!r}: {exc}") from exc


def server_settings(location: str) -> dict[str, Any]:
    """The settings in [server:main] of a file, when that section uses this server.

    A file that configures logging is taken for `logconfig`, too. Raises ConfigError when there is
    no such file or it cannot be read.
    """
    import configparser  # noqa: PLC0415 - rarely needed, and slow to import

    path, _ = _location(location)
    parser = configparser.ConfigParser(
        defaults={"here": os.path.dirname(path), "__file__": path}, interpolation=None
    )
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as exc:
        raise ConfigError(f"paste = {location!r}: cannot read {path}: {exc.strerror}") from exc
    except (configparser.Error, UnicodeDecodeError) as exc:
        raise ConfigError(f"paste = {location!r}: {exc}") from exc
    settings: dict[str, Any] = {"logconfig": path} if parser.has_section("loggers") else {}
    section = "server:main"
    if parser.has_section(section) and parser.get(section, "use", fallback="") in _OUR_SERVERS:
        given = {
            name: value.replace("%(here)s", os.path.dirname(path))
            for name, value in parser.items(section)
            if name != "use" and name not in parser.defaults()
        }
        settings.update(framework_settings(given, f"[{section}] of {path}"))
    return settings


def framework_settings(given: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Settings out of the entries of a server section, where `host` and `port` may stand for bind.

    Entries that are not settings are left out; one that looks like a slip for a setting is a
    ConfigError.
    """
    known = Config(environ={}).settings
    settings = {name: value for name, value in given.items() if name in known}
    if "bind" not in settings and ("host" in given or "port" in given):
        host = str(given.get("host", "127.0.0.1"))
        bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
        settings["bind"] = f"{bracketed}:{given['port']}" if "port" in given else bracketed
    for name in given:
        meant = similar_setting(name)
        if meant and meant not in given:
            raise ConfigError(f"there is no setting {name!r} ({place}); did you mean {meant!r}?")
    return settings


def _location(text: str) -> tuple[str, str]:
    path, _, name = text.removeprefix("config:").partition("#")
    return os.path.abspath(path), name or "main"


def _loadwsgi() -> ModuleType:
    try:
        from paste.deploy import loadwsgi  # noqa: PLC0415  an optional package
    except ModuleNotFoundError as exc:
        raise ConfigError(
            "paste needs the package PasteDeploy: pip install gunicorn[paste]"
        ) from exc
    module: ModuleType = loadwsgi
    return module
