"""Applications by name."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from gunicorn.errors import AppImportError
from gunicorn.util import import_app

SOURCE = """\
def application(environ, start_response):
    return ["application"]

class Site:
    def app(self, environ, start_response):
        return ["site"]
    inner = None

site = Site()
number = 3

def make(name="default", *, debug=False):
    def made(environ, start_response):
        return [name, debug]
    return made

def make_nothing():
    return None

def make_error():
    return {}["key of the user"]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shopsite.py").write_text(SOURCE)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "wsgi.py").write_text("def app(environ, start_response): return [1]\n")
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("shopsite", ["application"]),
        ("shopsite:", ["application"]),
        ("shopsite:application", ["application"]),
        ("shopsite:site.app", ["site"]),
        ("shopsite:make()", ["default", False]),
        ('shopsite:make("x")', ["x", False]),
        ('shopsite:make(name={"a": [1, -2]}, debug=True)', [{"a": [1, -2]}, True]),
        ("pack.wsgi:app", [1]),
    ],
)
def test_loaded(name: str, result: list) -> None:
    assert import_app(name)({}, None) == result


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shopsite:aplication", "'shopsite' has no 'aplication'; did you mean 'application'?"),
        ("pack.wsgi", "'pack.wsgi' has no 'application'; did you mean 'app'?"),
        ("shopsite:site.ap", "'shopsite:site' has no 'ap'; did you mean 'app'?"),
        ("shopsite:number", "it is an object of type int, not something to call"),
        ("shopsite:site.inner", "it is None"),
        ("shopsite:make_nothing()", "what it returns is None"),
        ("shopsite:number()", "the factory is an object of type int"),
        ("shopsite:make(1, 2)", "does not take these arguments: too many positional"),
        ("shopsite:make(colour=1)", "does not take these arguments: got an unexpected keyword"),
        ("shopsite:make(number)", "must be literals"),
        ("shopsite:make(*[1])", "must be literals"),
        ("shopsite:make(**{'name': 1})", "must be literals"),
        ("shopsite:1 + 1", "neither a name nor a call"),
        ("shopsite:make()()", "neither a name nor a call"),
        ("shopsite:(", "neither a name nor a call"),
        ("shopsit:application", "no module 'shopsit'; did you mean 'shopsite'?"),
        ("pack.wsgj:app", "no module 'pack.wsgj'; did you mean 'pack.wsgi'?"),
        ("shopsite.inner:app", "no module 'shopsite.inner'"),
        ("zzz:app", "no module 'zzz' (looked in "),
        ("shopsite.py:application", "did you mean 'shopsite:application'?"),
        ("./pack/wsgi.py:app", "did you mean 'pack.wsgi:app'?"),
        ("shop-site:app", "'shop-site' is not the name of a module"),
        ("", "'' is not the name of a module"),
    ],
)
def test_refused(name: str, message: str) -> None:
    with pytest.raises(AppImportError) as caught:
        import_app(name)
    assert message in str(caught.value)
    assert repr(name) in str(caught.value)


def test_missing_import_inside_is_the_users(folder: Path) -> None:
    (folder / "inside.py").write_text("import no_such_dependency\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        import_app("inside:app")


def test_exceptions_of_the_user_go_through(folder: Path) -> None:
    (folder / "raising.py").write_text(
        textwrap.dedent("""\
        raise OSError("database")
        """)
    )
    with pytest.raises(OSError, match="database"):
        import_app("raising:app")
    with pytest.raises(KeyError, match="key of the user"):
        import_app("shopsite:make_error()")
