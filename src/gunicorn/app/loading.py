"""From the name of an application to the application.

    module                  the attribute `application` of the module
    module:site.app         an attribute, of an attribute if need be
    module:make("x", n=1)   what a factory returns; arguments are literals, nothing is evaluated

What is wrong with the name is an AppImportError. What the user's code raises while it is imported
or called is the user's, and goes through unchanged.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from keyword import iskeyword
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from gunicorn.errors import AppImportError

if TYPE_CHECKING:
    import ast

DEFAULT_ATTRIBUTE = "application"


class Reference(NamedTuple):
    """A name taken apart. `arguments` and `keywords` count when it is a factory."""

    text: str
    module: str
    attributes: tuple[str, ...]
    is_factory: bool = False
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Take `module:expression` apart. Raises AppImportError when it is not of that form."""
        module, _, expression = text.strip().partition(":")
        expression = expression.strip() or DEFAULT_ATTRIBUTE
        _check_module_name(text, module)
        names = tuple(expression.split("."))
        if _are_names(names):
            return cls(text, module, names)
        return cls._call(text, module, expression)

    @classmethod
    def _call(cls, text: str, module: str, expression: str) -> Reference:
        """Take an expression apart that is not a name."""
        import ast  # noqa: PLC0415 - rarely needed, and slow to import

        try:
            node: ast.expr = ast.parse(expression, mode="eval").body
        except (SyntaxError, ValueError):
            raise _malformed(text, expression) from None
        called = node.func if isinstance(node, ast.Call) else node
        names = tuple(ast.unparse(called).split("."))
        if not _are_names(names):
            raise _malformed(text, expression)
        if not isinstance(node, ast.Call):
            return cls(text, module, names)
        try:
            return cls(
                text,
                module,
                names,
                is_factory=True,
                arguments=tuple(ast.literal_eval(argument) for argument in node.args),
                keywords={_keyword(word): ast.literal_eval(word.value) for word in node.keywords},
            )
        except ValueError:
            raise AppImportError(
                f"application {text!r}: the arguments of a factory must be literals, "
                "such as strings, numbers, True, None, lists and dictionaries"
            ) from None


def import_app(text: str) -> Callable[..., Any]:
    """Load the application that `text` names. Raises AppImportError when it is not to be found."""
    reference = Reference.parse(text)
    found = _find(_import(reference), reference)
    app = _make(found, reference) if reference.is_factory else found
    if not callable(app):
        what = "what it returns" if reference.is_factory else "it"
        raise AppImportError(f"application {text!r}: {what} is {_kind(app)}, not something to call")
    return app  # type: ignore[no-any-return]  # callable() told; its signature is unknown


def _check_module_name(text: str, module: str) -> None:
    is_name = all(part.isidentifier() for part in module.split("."))
    if is_name and not (module.endswith(".py") and os.path.isfile(module)):
        return
    path = module.removesuffix(".py").replace(os.sep, ".").strip(".")
    hint = ""
    if module != path and all(part.isidentifier() for part in path.split(".")):
        rest = text.partition(":")[2]
        hint = f"; did you mean {path + (':' + rest if rest else '')!r}?"
    raise AppImportError(f"application {text!r}: {module!r} is not the name of a module{hint}")


def _malformed(text: str, expression: str) -> AppImportError:
    return AppImportError(
        f"application {text!r}: {expression!r} is neither a name nor a call of a factory"
    )


def _keyword(word: ast.keyword) -> str:
    if word.arg is None:
        raise ValueError("keywords must be written out")
    return word.arg


def _are_names(words: Iterable[str]) -> bool:
    return all(word.isidentifier() and not iskeyword(word) for word in words)


def _import(reference: Reference) -> ModuleType:
    name = reference.module
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{name}.".startswith(f"{exc.name}."):
            raise
        missing = exc.name
    import difflib  # noqa: PLC0415 - rarely needed, and slow to import

    near = difflib.get_close_matches(missing, _siblings(missing), 1)
    hint = f"; did you mean {near[0]!r}?" if near else f" (looked in {os.getcwd()} and sys.path)"
    raise AppImportError(f"application {reference.text!r}: there is no module {missing!r}{hint}")


def _siblings(missing: str) -> list[str]:
    """The names of the modules that are where the missing one was expected."""
    import pkgutil  # noqa: PLC0415 - rarely needed, and slow to import

    package, _, _ = missing.rpartition(".")
    folder = os.path.join(os.getcwd(), *package.split("."))
    prefix = f"{package}." if package else ""
    return [prefix + module.name for module in pkgutil.iter_modules([folder])]


def _find(module: ModuleType, reference: Reference) -> Any:
    found: Any = module
    for depth, name in enumerate(reference.attributes):
        try:
            found = getattr(found, name)
        except AttributeError:
            owner = ":".join([reference.module, ".".join(reference.attributes[:depth])]).strip(":")
            raise AppImportError(
                f"application {reference.text!r}: {owner!r} has no {name!r}"
                f"{_suggestion(found, name)}"
            ) from None
    return found


def _suggestion(owner: Any, name: str) -> str:
    names = [
        other
        for other in dir(owner)
        if not other.startswith("_") and callable(getattr(owner, other, None))
    ]
    usual = [other for other in ("application", "app", "wsgi", "create_app") if other in names]
    import difflib  # noqa: PLC0415 - rarely needed, and slow to import

    near = difflib.get_close_matches(name, names, 3) or usual
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def _make(factory: Any, reference: Reference) -> Any:
    if not callable(factory):
        raise AppImportError(
            f"application {reference.text!r}: the factory is {_kind(factory)}, "
            "not something to call"
        )
    import inspect  # noqa: PLC0415 - rarely needed, and slow to import

    try:
        inspect.signature(factory).bind(*reference.arguments, **reference.keywords)
    except TypeError as exc:
        raise AppImportError(
            f"application {reference.text!r}: the factory does not take these arguments: {exc}"
        ) from exc
    except ValueError:
        # Some built-in callables do not tell their parameters; the call below will.
        pass
    return factory(*reference.arguments, **reference.keywords)


def _kind(value: Any) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"
