"""The command line, made from the declarations.

Values are only collected here, each with the flag that gave it. Checking them is left to the
settings, so that a value is judged by the same rule, and refused with the same words, whichever
source it comes from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from gunicorn.compiled import parser_in_use
from gunicorn.config.declaration import Declaration
from gunicorn.config.settings import SECTIONS
from gunicorn.version import __version__

_MODES = ("off", "v1", "v2", "auto", "true", "false")


class CommandLineParser(argparse.ArgumentParser):
    """Parses arguments, and suggests the right flag for a wrong one.

    The namespace has an attribute for every setting with a flag, None where the flag was not
    given; `args`, the words that are not flags; and `flags`, the flag that gave each value.
    `context` is put before messages.
    """

    context = ""

    def parse_args(  # type: ignore[override]  # the base has overloads for other namespaces
        self,
        args: Sequence[str] | None = None,
        namespace: argparse.Namespace | None = None,
    ) -> argparse.Namespace:
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error("unrecognized arguments: " + " ".join(map(self._with_hint, unknown)))
        return options

    def parse_known_args(  # type: ignore[override]  # as above
        self,
        args: Sequence[str] | None = None,
        namespace: argparse.Namespace | None = None,
    ) -> tuple[argparse.Namespace, list[str]]:
        words = sys.argv[1:] if args is None else list(args)
        options, unknown = super().parse_known_args(_alone(words), namespace)
        return options or argparse.Namespace(), unknown

    def error(self, message: str) -> NoReturn:
        super().error(self.context + message)

    def _with_hint(self, word: str) -> str:
        flag = word.partition("=")[0]
        flags = [name for name in self._option_string_actions if name.startswith("--")]
        import difflib  # noqa: PLC0415 - rarely needed, and slow to import

        near = difflib.get_close_matches(flag, flags, 1)
        return f"{word} (did you mean {near[0]}?)" if flag.startswith("--") and near else word


class _Collect(argparse.Action):
    """Keeps a value and the flag that gave it; repeatable flags add up."""

    def __init__(self, *, repeatable: bool = False, const: Any = None, **options: Any) -> None:
        super().__init__(const=const, **options)
        self.repeatable = repeatable

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002  argparse passes it
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        value = self.const if self.nargs == 0 else values
        if self.repeatable:
            value = [*(getattr(namespace, self.dest) or []), value]
        setattr(namespace, self.dest, value)
        namespace.flags = {**namespace.flags, self.dest: option_string}


def build_parser(usage: str | None, prog: str) -> CommandLineParser:
    """A parser with a group of flags for every section."""
    parser = CommandLineParser(
        prog=prog,
        usage=usage,
        # Adding an argument makes a formatter; one that asks the terminal for its width imports
        # shutil, and with it three libraries for compression.
        formatter_class=partial(argparse.HelpFormatter, width=80),
    )
    parser.add_argument(
        "-v",
        "--version",
        action="version",
        version=f"%(prog)s (version {__version__}, {parser_in_use()} HTTP parser)",
    )
    parser.set_defaults(flags={})
    parser.add_argument("args", nargs="*", metavar="APP_MODULE", help=argparse.SUPPRESS)
    for section in SECTIONS:
        flags = [declaration for declaration in section.settings if declaration.cli]
        group = parser.add_argument_group(section.title) if flags else parser
        for declaration in flags:
            group.add_argument(*declaration.cli, **_options(declaration))
    parser.formatter_class = argparse.HelpFormatter
    return parser


def _options(declaration: Declaration) -> dict[str, Any]:
    options: dict[str, Any] = {
        "dest": declaration.name,
        "action": _Collect,
        "default": None,
        "help": _help(declaration),
    }
    if declaration.action in ("store_true", "store_false"):
        return options | {"nargs": 0, "const": declaration.action == "store_true"}
    options["metavar"] = declaration.meta or declaration.name.upper()
    options["repeatable"] = declaration.action == "append"
    if declaration.const is not None:
        options |= {"nargs": "?", "const": declaration.const}
    return options


def _help(declaration: Declaration) -> str:
    default = declaration.default_text
    if default is None:
        default = str(declaration.default if declaration.default != () else [])
    note = "" if declaration.supported else " Not supported yet."
    return f"{declaration.summary}{note} [{default}]".replace("%", "%%")


def _alone(words: list[str]) -> list[str]:
    """Let `--proxy-protocol APP` be the flag alone, followed by the application."""
    return [
        f"{word}=auto" if word == "--proxy-protocol" and following.lower() not in _MODES else word
        for word, following in zip(words, [*words[1:], ""], strict=False)
    ]
