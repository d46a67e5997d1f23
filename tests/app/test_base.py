"""Programs with a server of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gunicorn.app import base
from gunicorn.app.base import BaseApplication
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.errors import AppImportError, ConfigError


def hello(environ, start_response):
    return ["hello"]


class Standalone(BaseApplication):
    def __init__(self, app: Any, options: dict[str, Any] | None = None) -> None:
        self.options = options or {}
        self.application = app
        self.loads = 0
        super().__init__()

    def load_config(self) -> None:
        for key, value in self.options.items():
            if key in self.cfg.settings and value is not None:
                self.cfg.set(key.lower(), value)

    def load(self) -> Any:
        self.loads += 1
        return self.application


class ArbiterStub:
    """Stands where the arbiter does; keeps what it was given."""

    apps: ClassVar[list[BaseApplication]] = []

    def __init__(self, app: BaseApplication) -> None:
        self.app = app

    def run(self) -> None:
        self.apps.append(self.app)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[BaseApplication]:
    monkeypatch.setattr(base, "Arbiter", ArbiterStub)
    monkeypatch.setattr(ArbiterStub, "apps", [])
    return ArbiterStub.apps


def test_custom_application(folder: Path, ran: list[BaseApplication]) -> None:
    sys.argv[1:] = ["--not-ours"]
    app = Standalone(hello, {"bind": "127.0.0.1:8080", "workers": 4, "unheard_of": 1})
    app.run()
    assert ran == [app]
    assert app.cfg.workers == 4
    assert app.cfg.address == [("127.0.0.1", 8080)]


def test_the_application_is_loaded_once(folder: Path) -> None:
    app = Standalone(hello)
    assert app.callable is None
    assert app.wsgi() is hello
    assert app.wsgi() is app.callable is hello
    assert app.loads == 1


def test_what_cannot_be_called(folder: Path) -> None:
    with pytest.raises(AppImportError, match="None, not something to call"):
        Standalone(None).wsgi()


def test_wrong_setting_ends_with_a_message(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        Standalone(hello, {"workers": "many"})
    assert caught.value.code == 1
    assert capsys.readouterr().err == (
        "Error: workers = 'many' (set by the application): "
        "expected a whole number, 0 or more, or 'auto'\n"
    )


def test_methods_to_define(folder: Path) -> None:
    with pytest.raises(NotImplementedError, match="BaseApplication must define load_config"):
        BaseApplication()


class TestReload:
    def test_reads_anew(self, folder: Path) -> None:
        app = Standalone(hello, {"workers": 1})
        before = app.cfg
        app.options = {"workers": 2}
        app.reload()
        assert app.cfg is not before
        assert (before.workers, app.cfg.workers) == (1, 2)

    def test_leaves_all_when_it_fails(self, folder: Path) -> None:
        app = Standalone(hello, {"workers": 1, "raw_env": ["FROM_CONFIG=1"]})
        app._surroundings.enter(app.cfg)
        before, path = app.cfg, list(sys.path)
        app.options = {"workers": 2, "raw_env": ["FROM_CONFIG=2"], "keyfile": "/no/such/file"}
        with pytest.raises(ConfigError, match="there is no file"):
            app.reload()
        assert app.cfg is before
        assert app.cfg.workers == 1
        assert os.environ["FROM_CONFIG"] == "1"
        assert sys.path == path

    def test_a_mistake_of_the_users_leaves_all_too(self, folder: Path) -> None:
        app = Standalone(hello)
        before = app.cfg
        app.options = None  # type: ignore[assignment]
        with pytest.raises(AttributeError):
            app.reload()
        assert app.cfg is before

    def test_the_application_is_loaded_again(self, folder: Path) -> None:
        app = Standalone(hello)
        app.wsgi()
        app.reload()
        assert app.wsgi() is hello
        assert app.loads == 2

    def test_relative_paths_mean_what_they_meant(self, folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "gunicorn.conf.py").write_text("workers = 1\nchdir = 'sub'\n")
        (folder / "sub" / "gunicorn.conf.py").write_text("workers = 9\n")
        sys.argv[1:] = ["shopapp:app"]
        app = WSGIApplication()
        app._surroundings.enter(app.cfg)
        assert os.getcwd() == str(folder / "sub")
        (folder / "gunicorn.conf.py").write_text("workers = 2\nchdir = 'sub'\n")
        app.reload()
        assert app.cfg.workers == 2
        assert os.getcwd() == str(folder / "sub")

    def test_follows_a_switched_link(self, folder: Path) -> None:
        for release in ("one", "two"):
            (folder / release).mkdir()
            (folder / release / "gunicorn.conf.py").write_text(f"proc_name = '{release}'\n")
        link = folder / "current"
        link.symlink_to("one")
        os.chdir(link)
        os.environ["PWD"] = str(link)
        sys.argv[1:] = ["shopapp:app"]
        app = WSGIApplication()
        app._surroundings.enter(app.cfg)
        link.unlink()
        link.symlink_to("two")
        app.reload()
        assert app.cfg.proc_name == "two"
        assert os.getcwd() == str(folder / "two")

    def test_survives_a_removed_folder(self, folder: Path) -> None:
        gone = folder / "gone"
        gone.mkdir()
        os.chdir(gone)
        os.environ["PWD"] = str(gone)
        app = Standalone(hello, {"chdir": str(folder)})
        app._surroundings.enter(app.cfg)
        gone.rmdir()
        app.reload()
        assert os.getcwd() == str(folder)

    def test_variables_come_and_go(self, folder: Path) -> None:
        os.environ["KEPT"] = "shell"
        app = Standalone(hello, {"raw_env": ["KEPT=config", "WEB_CONCURRENCY=7"]})
        app._surroundings.enter(app.cfg)
        assert os.environ["KEPT"] == "config"
        app.options = {}
        app.reload()
        assert os.environ["KEPT"] == "shell"
        assert "WEB_CONCURRENCY" not in os.environ
        assert app.cfg.workers == 1

    def test_going_back_to_the_configuration_before(self, folder: Path) -> None:
        (folder / "gunicorn.conf.py").write_text("wsgi_app = 'shopapp:app'\n")
        app = WSGIApplication()
        before = app.cfg
        assert app.wsgi()({}, None) == ["app"]
        (folder / "gunicorn.conf.py").write_text("wsgi_app = 'shopapp:other'\nraw_env=['A=b']\n")
        app.reload()
        assert app.wsgi()({}, None) == ["other"]
        assert os.environ["A"] == "b"
        app.cfg = before
        assert app.wsgi()({}, None) == ["app"]
        assert "A" not in os.environ
