"""The surroundings that an application is loaded in: folder, Python path, variables.

They belong to a configuration. A reload may change them, and going back to the configuration
before must bring them back as well.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from gunicorn.config import Config
from gunicorn.config.settings.mechanics import current_folder
from gunicorn.errors import ConfigError


class Surroundings:
    """What the process was started in, and what the present configuration made of it."""

    def __init__(self) -> None:
        self.start_folder = current_folder()
        self._entered: Config | None = None
        self._paths: list[str] = []
        self._replaced: dict[str, str | None] = {}

    def enter(self, cfg: Config) -> None:
        """Go to the folder of `cfg`, put its paths on sys.path, and set its variables.

        Leaves the surroundings of another configuration first. Raises ConfigError when the folder
        cannot be entered.
        """
        if self._entered is cfg:
            return
        self._leave()
        self._entered = cfg
        self._change_folder(cfg)
        self._add_paths(cfg)
        self._set_variables(cfg)

    @contextlib.contextmanager
    def at_start(self) -> Iterator[None]:
        """Be where the process was started, with its variables, to read the configuration anew.

        A relative path then means what it meant at the start. Afterwards the surroundings are
        those from before, even where the folder has been removed.
        """
        entered = self._entered
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        self._leave()
        try:
            with contextlib.suppress(FileNotFoundError):
                # A deployment may have removed the folder; the present one serves as well then.
                os.chdir(self.start_folder)
            self._put_first(current_folder())
            yield
        finally:
            os.fchdir(folder)
            os.close(folder)
            if entered is not None:
                self._entered = entered
                self._add_paths(entered)
                self._set_variables(entered)

    def _change_folder(self, cfg: Config) -> None:
        try:
            os.chdir(cfg.chdir)
        except OSError as exc:
            source = cfg.settings["chdir"].source or "the folder at the start"
            raise ConfigError(f"chdir = {cfg.chdir!r} ({source}): {exc.strerror}") from exc
        self._put_first(cfg.chdir)

    def _add_paths(self, cfg: Config) -> None:
        listed = [path.strip() for path in (cfg.pythonpath or "").split(",") if path.strip()]
        for path in reversed(listed):
            self._put_first(os.path.join(cfg.chdir, path))

    def _put_first(self, path: str) -> None:
        if sys.path[:1] != [path]:
            sys.path.insert(0, path)
            self._paths.append(path)

    def _set_variables(self, cfg: Config) -> None:
        for name, value in cfg.env.items():
            self._replaced.setdefault(name, os.environ.get(name))
            os.environ[name] = value

    def _leave(self) -> None:
        for path in self._paths:
            if path in sys.path:
                sys.path.remove(path)
        self._paths.clear()
        for name, value in self._replaced.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._replaced.clear()
        self._entered = None
