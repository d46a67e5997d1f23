"""PasteDeploy files, in both directions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from paste.deploy import loadserver

from gunicorn.app import base
from gunicorn.app.pastefile import framework_settings, server_settings
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.errors import AppImportError, ConfigError

INI = """\
[app:main]
use = call:shoppaste:make
name = first

[app:admin]
use = call:shoppaste:make
name = second

[server:main]
use = egg:gunicorn#main
host = 127.0.0.1
port = 5555
workers = 3
accesslog = %(here)s/access.log
"""

FACTORY = """\
def make(global_conf, name):
    def app(environ, start_response):
        return [name, global_conf.get("key")]
    return app
"""


@pytest.fixture
def ini(folder: Path) -> Path:
    (folder / "shoppaste.py").write_text(FACTORY)
    path = folder / "shop.ini"
    path.write_text(INI)
    return path


def make(*words: str) -> WSGIApplication:
    sys.argv[1:] = words
    return WSGIApplication()


def test_application_and_settings(ini: Path) -> None:
    app = make("--paste", "shop.ini", "--paste-global", "key=value", "-w", "2")
    assert app.wsgi()({}, None) == ["first", "value"]
    assert app.cfg.bind == ["127.0.0.1:5555"]
    assert app.cfg.workers == 2
    assert app.cfg.accesslog == f"{ini.parent}/access.log"
    assert app.cfg.proc_name == "shop.ini"


def test_named_in_the_environment(ini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--paste shop.ini")
    app = make()
    assert app.wsgi()({}, None) == ["first", None]
    assert app.cfg.workers == 3


def test_named_section(ini: Path) -> None:
    assert make("--paste", "shop.ini#admin").wsgi()({}, None) == ["second", None]


def test_no_such_section(ini: Path) -> None:
    app = make("--paste", "shop.ini#nothing")
    with pytest.raises(AppImportError, match=r"paste = 'shop\.ini#nothing'"):
        app.wsgi()


def test_other_servers_are_left_alone(ini: Path) -> None:
    ini.write_text(INI.replace("egg:gunicorn#main", "egg:waitress#main"))
    assert server_settings(str(ini)) == {}


def test_logging_of_the_file(ini: Path) -> None:
    ini.write_text(f"{INI}\n[loggers]\nkeys = root\n")
    assert server_settings(str(ini))["logconfig"] == str(ini)


def test_missing_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        make("--paste", "nowhere.ini")
    assert caught.value.code == 1
    assert "Error: paste = 'nowhere.ini': cannot read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "bind"),
    [
        ({"host": "::1", "port": "80"}, "[::1]:80"),
        ({"port": 80}, "127.0.0.1:80"),
        ({"host": "a"}, "a"),
        ({"host": "a", "bind": "unix:x"}, "unix:x"),
    ],
)
def test_host_and_port(given: dict, bind: str) -> None:
    assert framework_settings(given, "x.ini") == {"bind": bind}


def test_misspelt() -> None:
    with pytest.raises(ConfigError, match=r"'worker' \(x.ini\); did you mean 'workers'"):
        framework_settings({"worker": "3"}, "x.ini")


def test_served_by_a_paste_program(ini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    class ArbiterStub:
        def __init__(self, app):
            self.app = app

        def run(self):
            ran.append(self.app)

    monkeypatch.setattr(base, "Arbiter", ArbiterStub)
    sys.argv[1:] = ["not", "--for-us"]
    serve = loadserver(f"config:{ini}")
    serve("the application")
    (app,) = ran
    assert app.load() == "the application"
    assert app.cfg.workers == 3
    assert app.cfg.proc_name == "shop.ini"
