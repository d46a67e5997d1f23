"""The `gunicorn` command inside one process: sources, precedence, what is served."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gunicorn.app.wsgiapp import WSGIApplication


def make(*words: str) -> WSGIApplication:
    sys.argv[1:] = words
    return WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog="gunicorn")


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    with pytest.raises(SystemExit) as caught:
        make(*words)
    return caught.value.code, capsys.readouterr().err


def test_precedence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Framework(WSGIApplication):
        def init(self, parser, opts, args):
            super().init(parser, opts, args)
            return dict.fromkeys(("backlog", "timeout", "threads", "keepalive"), 11)

    monkeypatch.setenv("WEB_CONCURRENCY", "5")
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--threads 33 --keep-alive 33")
    (folder / "gunicorn.conf.py").write_text("timeout = threads = keepalive = 22\n")
    sys.argv[1:] = ["--keep-alive", "44", "shopapp:app"]
    cfg = Framework().cfg
    names = ("workers", "backlog", "timeout", "threads", "keepalive")
    assert {name: (getattr(cfg, name), cfg.settings[name].source) for name in names} == {
        "workers": (5, "environment variable WEB_CONCURRENCY"),
        "backlog": (11, "framework settings"),
        "timeout": (22, "./gunicorn.conf.py:1"),
        "threads": (33, "GUNICORN_CMD_ARGS --threads"),
        "keepalive": (44, "flag --keep-alive"),
    }


@pytest.mark.parametrize("location", ["conf/prod.py", "file:conf/prod.py", "python:prodconf"])
def test_named_configuration(folder: Path, location: str) -> None:
    (folder / "gunicorn.conf.py").write_text("workers = 2\n")
    (folder / "conf").mkdir()
    (folder / "conf" / "prod.py").write_text("workers = 3\n")
    (folder / "prodconf.py").write_text("workers = 3\n")
    cfg = make("-c", location, "shopapp:app").cfg
    assert cfg.workers == 3
    assert cfg.config == location


def test_configuration_named_in_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.py").write_text("workers = 3\n")
    (folder / "b.py").write_text("workers = 4\n")
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "-c a.py")
    assert make("shopapp:app").cfg.workers == 3
    assert make("-c", "b.py", "shopapp:app").cfg.workers == 4


def test_configuration_may_import_its_neighbours(folder: Path) -> None:
    sys.path[:] = [path for path in sys.path if path not in ("", str(folder))]
    (folder / "neighbour_of_config.py").write_text("number = 3\n")
    (folder / "gunicorn.conf.py").write_text(
        "import neighbour_of_config\nworkers = neighbour_of_config.number\n"
    )
    assert make("shopapp:app").cfg.workers == 3


def test_application_by_position(folder: Path) -> None:
    (folder / "gunicorn.conf.py").write_text("wsgi_app = 'shopapp:other'\n")
    assert make().wsgi()({}, None) == ["other"]
    app = make("shopapp:app")
    assert app.wsgi()({}, None) == ["app"]
    assert app.app_uri == "shopapp:app"
    assert app.cfg.proc_name == "shopapp:app"


def test_application_in_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "shopapp:other")
    assert make().wsgi()({}, None) == ["other"]
    assert make("shopapp:app").wsgi()({}, None) == ["app"]


def test_subclasses_may_name_the_application(folder: Path) -> None:
    class Own(WSGIApplication):
        def __init__(self, uri: str) -> None:
            self.app_uri = uri
            super().__init__()

        def load_config(self) -> None:
            self.cfg.set("workers", 2)

    assert Own("shopapp:other").wsgi()({}, None) == ["other"]


def test_no_application(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = refused(capsys)
    assert code == 1
    assert error.startswith("Error: no application: ")


def test_two_applications(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = refused(capsys, "shopapp:app", "shopapp:other")
    assert code == 2
    assert "one APP_MODULE is expected, got 'shopapp:app' 'shopapp:other'" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-w", "x"], "workers = 'x' (flag -w): expected a whole number"),
        (["--chdir", "nowhere"], "chdir = 'nowhere' (flag --chdir): expected a folder"),
        (["-c", "nowhere.py"], "there is no configuration file 'nowhere.py'"),
        (["--statsd-host", "x"], "setting 'statsd_host' is not supported yet: 'x' (flag --statsd"),
    ],
)
def test_wrong_values(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    code, error = refused(capsys, *words, "shopapp:app")
    assert code == 1
    assert error.startswith(f"Error: {message}")
    assert error.count("\n") == 1


def test_surroundings_of_the_application(folder: Path) -> None:
    for name in ("sub", "lib", "lib2"):
        (folder / name).mkdir()
    (folder / "sub" / "shopinner.py").write_text((folder / "shopapp.py").read_text())
    app = make(
        "--chdir", "sub", "--pythonpath", f"{folder}/lib,../lib2", "-e", "A=b", "shopinner:app"
    )
    app.wsgi()
    environ, cwd, path = sys.modules["shopinner"].seen
    assert environ["A"] == "b"
    assert cwd == str(folder / "sub")
    assert [os.path.normpath(entry) for entry in path[:3]] == [
        str(folder / "lib"),
        str(folder / "lib2"),
        str(folder / "sub"),
    ]
