"""The `gunicorn` command."""

from __future__ import annotations

import argparse
from typing import Any

from gunicorn.app.base import Application
from gunicorn.app.loading import import_app
from gunicorn.errors import ConfigError

USAGE = "%(prog)s [OPTIONS] [APP_MODULE]"


class WSGIApplication(Application):
    """The application that the command line, `wsgi_app` or `--paste` names.

    `app_uri` is its name; a subclass may set it.
    """

    app_uri: str | None = None
    _named: bool = False

    def init(
        self, parser: argparse.ArgumentParser, opts: argparse.Namespace, args: Any
    ) -> dict[str, Any] | None:
        """Take the application from the words that are not flags."""
        if len(args) > 1:
            parser.error(f"one APP_MODULE is expected, got {' '.join(map(repr, args))}")
        self._named = bool(args)
        if args:
            self.app_uri = args[0]
        if not opts.paste:
            return None
        from gunicorn.app import pastefile  # noqa: PLC0415 - rarely needed

        return pastefile.server_settings(opts.paste)

    def load_config(self) -> None:
        """Read all sources, and find out what to serve."""
        super().load_config()
        if self.cfg.paste is None and not self._named and self.cfg.wsgi_app:
            self.app_uri = self.cfg.wsgi_app
        if self.app_uri is None and self.cfg.paste is None:
            raise ConfigError(
                "no application: name it on the command line (gunicorn MODULE:CALLABLE) "
                "or by wsgi_app in the configuration file"
            )
        if self.cfg.settings["default_proc_name"].is_default:
            self.cfg.set("default_proc_name", self.app_uri or self.cfg.paste, "the application")

    def load(self) -> Any:
        """Load the application."""
        if self.cfg.paste is not None:
            from gunicorn.app import pastefile  # noqa: PLC0415 - rarely needed

            return pastefile.load_app(self.cfg)
        uri = self.app_uri if self._named or not self.cfg.wsgi_app else self.cfg.wsgi_app
        return import_app(str(uri))


def run(prog: str | None = None) -> None:
    """Run the `gunicorn` command."""
    application = WSGIApplication(USAGE, prog=prog)
    application.ends_process = True
    application.run()
