"""The server that a PasteDeploy file names by `use = egg:gunicorn#main`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from gunicorn.app.base import BaseApplication, fail
from gunicorn.app.pastefile import framework_settings
from gunicorn.config import sources
from gunicorn.errors import ConfigError


class PasteServerApplication(BaseApplication):
    """Serves an application that PasteDeploy has loaded.

    The entries of the server section are the framework settings; `config` among them names a
    configuration file. The command line belongs to the program that loaded the file, and is not
    read.
    """

    def __init__(
        self, app: Callable[..., Any], global_conf: Mapping[str, str], local_conf: Mapping[str, Any]
    ) -> None:
        self.app = app
        self.global_conf = global_conf
        self.local_conf = local_conf
        super().__init__()

    def load_config(self) -> None:
        """Read the server section, the configuration file and GUNICORN_CMD_ARGS."""
        file = self.global_conf.get("__file__", "the server section")
        settings = framework_settings(self.local_conf, file)
        variable = sources.variable_arguments(self.cfg.parser(), os.environ)
        location = variable.config or settings.get("config")
        sources.apply(self.cfg, sources.framework_assignments(settings))
        sources.apply(self.cfg, sources.file_assignments(self.cfg, location))
        sources.apply(self.cfg, sources.flag_assignments(variable, sources.ARGUMENTS_VARIABLE))
        if self.cfg.settings["default_proc_name"].is_default and file:
            self.cfg.set("default_proc_name", os.path.basename(file), "the server section")

    def load(self) -> Callable[..., Any]:
        """The application that was given."""
        return self.app


def serve(app: Callable[..., Any], global_conf: Mapping[str, str], **local_conf: Any) -> None:
    """Serve `app`: the runner of PasteDeploy's `paste.server_runner` entry point."""
    try:
        PasteServerApplication(app, global_conf or {}, local_conf).run()
    except ConfigError as exc:
        fail(str(exc))
