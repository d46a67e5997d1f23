"""Configuration files."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from gunicorn.config import Config
from gunicorn.config.file import read_configuration
from gunicorn.errors import ConfigError


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, source: str, location: str = "c.py") -> dict[str, tuple[Any, str]]:
        (self.path / "c.py").write_text(textwrap.dedent(source))
        return {
            item.name: (item.value, item.source)
            for item in read_configuration(location, Config(environ={}))
        }

    def refused(self, source: str, location: str = "c.py") -> str:
        with pytest.raises(ConfigError) as caught:
            self.read(source, location)
        return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return Folder(tmp_path)


def test_settings_with_the_line_of_their_last_assignment(folder: Folder) -> None:
    found = folder.read("""\
        import os
        workers = 1
        if os.name:
            workers = 2
        timeout: int = 5
        backlog, threads = 7, 8
        helper = workers
        def pre_fork(server, worker):
            bind = "not a setting here"
        for keepalive in range(3):
            pass
        """)
    hook = found.pop("pre_fork")
    assert hook[1] == "c.py:8"
    assert found == {
        "workers": (2, "c.py:4"),
        "timeout": (5, "c.py:5"),
        "backlog": (7, "c.py:6"),
        "threads": (8, "c.py:6"),
        "keepalive": (2, "c.py:10"),
    }


def test_the_file_knows_where_it_is(folder: Folder) -> None:
    assert folder.read("proc_name = __file__", "file:c.py") == {"proc_name": ("c.py", "c.py:1")}


def test_other_names_belong_to_the_user(folder: Folder) -> None:
    assert folder.read("""\
        import logging as syslo
        from os import path as pidfiles
        log_level = "x"; loglevel = log_level
        graceful_timeout_str = "3"
        _worker = 3
        WORKERS = 3
        something_else = 3
        def worker(): pass
        class Reloadd: pass
        print(graceful_timeout_str)
        """) == {"loglevel": ("x", "c.py:3")}


def test_imported_modules_are_no_values(folder: Folder) -> None:
    (folder.path / "reload.py").write_text("")
    assert folder.read("import reload") == {}


@pytest.mark.parametrize("name", ["worker", "worker_clas", "bnd", "time_out", "accesslogs"])
def test_misspelt(folder: Folder, name: str) -> None:
    message = folder.refused(f"threads = 2\n{name} = 3\n")
    assert f"there is no setting '{name}' (c.py:2); did you mean '" in message


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("post_frok", "server, worker"), ("on_exits", "server"), ("pre_requests", "worker, req")],
)
def test_misspelt_hook(folder: Folder, name: str, parameters: str) -> None:
    message = folder.refused(f"threads = 2\ndef {name}({parameters}): pass\n")
    assert f"there is no setting '{name}' (c.py:2); did you mean '" in message


def test_functions_of_the_users_own(folder: Folder) -> None:
    assert folder.read("""\
        import atexit
        def post_frok(server): pass
        def on_exits(server): pass
        def child_exits(server, worker): pass
        def child_exit(server, worker): pass
        @atexit.register
        def pre_forks(server=None, worker=None): pass
        on_exits(None)
        """).keys() == {"child_exit"}


def test_syntax_error(folder: Folder) -> None:
    message = folder.refused("workers = 1\nif workers:\n    bind = = 3\n")
    lines = message.splitlines()
    assert lines[0] == "syntax error in c.py, line 3: invalid syntax"
    assert lines[1].strip() == "bind = = 3"
    assert lines[2] == "    " + " " * 7 + "^"


def test_exception_shows_the_users_frames_only(folder: Folder) -> None:
    (folder.path / "helper_of_config.py").write_text("def f():\n    return 1 / 0\n")
    message = folder.refused("import helper_of_config\nworkers = helper_of_config.f()\n")
    assert "the configuration 'c.py' raised an exception" in message
    assert 'File "c.py", line 2' in message
    assert "helper_of_config.py" in message
    assert message.endswith("ZeroDivisionError: division by zero")
    assert "gunicorn/config" not in message


def test_missing_file(folder: Folder) -> None:
    assert folder.refused("", "d.py") == "there is no configuration file 'd.py'"


def test_not_text(folder: Folder) -> None:
    (folder.path / "zero.py").write_bytes(b"workers = 1\0")
    with pytest.raises(ConfigError, match=r"zero\.py"):
        read_configuration("zero.py", Config(environ={}))


class TestModule:
    def test_settings(self, folder: Folder) -> None:
        (folder.path / "conf_package").mkdir()
        module = folder.path / "conf_package" / "prod.py"
        module.write_text("workers = 2\n")
        (found,) = read_configuration("python:conf_package.prod", Config(environ={}))
        assert (found.name, found.value, found.source) == ("workers", 2, f"{module}:1")

    def test_is_read_anew(self, folder: Folder) -> None:
        module = folder.path / "conf_that_changes.py"
        for number in (1, 20, 300):
            module.write_text(f"workers = {number}\n")
            (found,) = read_configuration("python:conf_that_changes", Config(environ={}))
            assert found.value == number

    def test_missing(self, folder: Folder) -> None:
        message = folder.refused("", "python:no_such_conf")
        assert message == "there is no module 'no_such_conf' (-c python:no_such_conf)"

    def test_missing_import_inside(self, folder: Folder) -> None:
        (folder.path / "conf_imports.py").write_text("import no_such_helper\n")
        message = folder.refused("", "python:conf_imports")
        assert 'conf_imports.py", line 1' in message
        assert "No module named 'no_such_helper'" in message

    def test_syntax_error(self, folder: Folder) -> None:
        (folder.path / "conf_broken.py").write_text("workers = (\n")
        assert "conf_broken.py, line 1: " in folder.refused("", "python:conf_broken")

    def test_misspelt(self, folder: Folder) -> None:
        (folder.path / "conf_misspelt.py").write_text("worker = 3\n")
        assert "did you mean 'workers'?" in folder.refused("", "python:conf_misspelt")
