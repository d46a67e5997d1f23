"""Reading a configuration file, or a module that is one.

The file is Python. Its top-level names that are settings are taken; all others belong to the user.
A name that looks like a slip for a setting is an error, unless the file itself shows that it is
meant to be a name of its own: because it is read somewhere, or the setting is set as well. So is a
function that looks like a slip for a hook, and takes as many parameters.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
import traceback
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from gunicorn.config.config import Config, similar_setting
from gunicorn.errors import ConfigError

DEFAULT_FILE = "gunicorn.conf.py"


class Assignment(NamedTuple):
    """A setting that a source gives a value."""

    name: str
    value: Any
    source: str


def read_configuration(location: str, settings: Config) -> list[Assignment]:
    """What the file or module at `location` sets.

    `location` is `PATH`, `file:PATH` or `python:MODULE`. Raises ConfigError: the source is missing
    or wrong, raises an exception, or misspells a setting.
    """
    if location.startswith("python:"):
        return _read_module(location.removeprefix("python:"), settings)
    return _read_file(location.removeprefix("file:"), settings)


def _read_file(path: str, settings: Config) -> list[Assignment]:
    if not os.path.isfile(path):
        raise ConfigError(f"there is no configuration file {path!r}")
    tree, code = _compiled(path)
    names: dict[str, Any] = {
        "__name__": "__config__",
        "__file__": path,
        "__builtins__": __builtins__,
    }
    try:
        exec(code, names)  # noqa: S102 - a configuration file is a program of the user's
    except Exception as exc:
        raise ConfigError(_raised(path, exc)) from exc
    return _assignments(path, tree, names, settings)


def _read_module(name: str, settings: Config) -> list[Assignment]:
    try:
        module = _fresh_module(name)
    except SyntaxError as exc:
        raise ConfigError(_syntax_message(exc, name)) from exc
    except ModuleNotFoundError as exc:
        if exc.name and f"{name}.".startswith(f"{exc.name}."):
            raise ConfigError(f"there is no module {exc.name!r} (-c python:{name})") from exc
        raise ConfigError(_raised(name, exc)) from exc
    except Exception as exc:
        raise ConfigError(_raised(name, exc)) from exc
    path = getattr(module, "__file__", None)
    tree = _compiled(path)[0] if path and path.endswith(".py") else ast.Module([], [])
    return _assignments(path or name, tree, vars(module), settings)


def _fresh_module(name: str) -> ModuleType:
    """Import a module, once more when it has been imported: its file may have changed."""
    importlib.invalidate_caches()
    known = sys.modules.get(name)
    return importlib.import_module(name) if known is None else importlib.reload(known)


def _compiled(path: str) -> tuple[ast.Module, CodeType]:
    try:
        with open(path, "rb") as file:
            source = file.read()
        tree = ast.parse(source, path)
        return tree, compile(tree, path, "exec")
    except OSError as exc:
        raise ConfigError(f"cannot read the configuration file {path!r}: {exc.strerror}") from exc
    except SyntaxError as exc:
        raise ConfigError(_syntax_message(exc, path)) from exc
    except ValueError as exc:
        raise ConfigError(f"the configuration file {path!r} is not Python: {exc}") from exc


def _syntax_message(exc: SyntaxError, path: str) -> str:
    line_number = "" if exc.lineno is None else f", line {exc.lineno}"
    message = f"syntax error in {exc.filename or path}{line_number}: {exc.msg}"
    if exc.text is None:
        return message
    line = exc.text.rstrip().expandtabs()
    column = max((exc.offset or 1) - 1, 0)
    indent = len(line) - len(line.lstrip())
    return f"{message}\n    {line.lstrip()}\n    {' ' * (column - indent)}^"


def _raised(path: str, exc: Exception) -> str:
    """The user's frames of a traceback: what follows the last frame of this package and import."""
    frames = [
        frame
        for frame in traceback.extract_tb(exc.__traceback__)
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    lines = traceback.format_list(frames) + traceback.format_exception_only(type(exc), exc)
    return f"the configuration {path!r} raised an exception\n" + "".join(lines).rstrip()


def _assignments(
    path: str, tree: ast.Module, names: dict[str, Any], settings: Config
) -> list[Assignment]:
    lines = _Names.of(tree)
    _refuse_misspelt(path, lines, names, settings)
    return [
        Assignment(name, value, _place(path, lines.bound.get(name)))
        for name, value in names.items()
        if name in settings.settings and not isinstance(value, ModuleType)
    ]


def _place(path: str, line: int | None) -> str:
    return path if line is None else f"{path}:{line}"


def _refuse_misspelt(path: str, lines: _Names, names: dict[str, Any], settings: Config) -> None:
    for name, line in (lines.assigned | lines.functions).items():
        if name.startswith("_") or name in lines.read or isinstance(names.get(name), ModuleType):
            continue
        meant = similar_setting(name)
        if meant and meant not in lines.bound and _may_be_meant(names.get(name), meant, settings):
            raise ConfigError(
                f"there is no setting {name!r} ({_place(path, line)}); did you mean {meant!r}?"
            )


def _may_be_meant(value: Any, meant: str, settings: Config) -> bool:
    """Whether `value` could be that of the setting `meant`: a function only that of a hook."""
    if not isinstance(value, FunctionType):
        return True
    parameters = settings.settings[meant].declaration.hook_parameters
    return parameters is not None and value.__code__.co_argcount == len(parameters)


class _Names(ast.NodeVisitor):
    """The top-level names of a file: the line that binds each last, and those that are read.

    `assigned` and `functions` are those of `bound` that are given a value, or defined.
    """

    def __init__(self) -> None:
        self.bound: dict[str, int] = {}
        self.assigned: dict[str, int] = {}
        self.functions: dict[str, int] = {}
        self.read: set[str] = set()
        self._depth = 0

    @classmethod
    def of(cls, tree: ast.Module) -> _Names:
        names = cls()
        names.visit(tree)
        return names

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.read.add(node.id)
        elif self._depth == 0:
            self.bound[node.id] = self.assigned[node.id] = node.lineno

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        # A decorator may be what the function is for.
        if self._depth == 0 and not node.decorator_list:
            self.functions[node.name] = node.lineno
        self._enter(node, node.name)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._enter(node, node.name)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._enter(node, node.name)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._enter(node, None)

    def visit_alias(self, node: ast.alias) -> None:
        if self._depth == 0:
            self.bound[(node.asname or node.name).partition(".")[0]] = node.lineno

    def _enter(self, node: ast.AST, name: str | None) -> None:
        if name is not None and self._depth == 0:
            self.bound[name] = getattr(node, "lineno", 0)
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1
