"""The reference page of all settings, in Markdown: `python -m gunicorn.config.reference`.

It is made from the declarations alone, so it is the same on every machine.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from gunicorn.config.declaration import Declaration, Section
from gunicorn.config.settings import SECTIONS

_HEAD = """\
# Settings

<!-- Made by `python -m gunicorn.config.reference > docs/settings.md`; do not edit. -->

Settings come from these sources; the later ones have precedence:

1. the defaults, some of which an environment variable changes;
2. framework settings: those of a program with a server of its own, or of a PasteDeploy file;
3. the configuration file: `./gunicorn.conf.py` where it exists, or what `-c` names;
4. `GUNICORN_CMD_ARGS`, an environment variable that holds command-line flags;
5. the command line.

`gunicorn --print-config APP` shows what comes out, `gunicorn --check-config APP` checks it. A
setting that is not supported yet accepts its default only.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *map(_contents, SECTIONS), "", *map(_section, SECTIONS)])


def _contents(section: Section) -> str:
    names = ", ".join(f"[{item.name}](#{item.name})" for item in section.settings)
    return f"- **{section.title}**: {names}"


def _section(section: Section) -> str:
    return "\n".join([f"## {section.title}\n", *map(_setting, section.settings)])


def _setting(item: Declaration) -> str:
    facts = "\n".join(f"- {name}: {value}" for name, value in _facts(item))
    return f"### {item.name}\n\n{facts}\n\n{inspect.cleandoc(item.help)}\n"


def _facts(item: Declaration) -> Iterator[tuple[str, str]]:
    if not item.supported:
        yield "Support", "**not supported yet**"
    if item.cli:
        yield "Command line", ", ".join(f"`{flag}{_metavar(item)}`" for flag in item.cli)
    else:
        yield "Command line", "none; configuration file only"
    if item.hook_parameters:
        yield "Value", f"a function of `({', '.join(item.hook_parameters)})`"
    default = item.default_text
    if default is None:
        default = f"`{list(item.default) if item.default == () else item.default!r}`"
    if item.variable:
        default += f", or `{item.variable}` in the environment"
    yield "Default", default


def _metavar(item: Declaration) -> str:
    if item.action in ("store_true", "store_false"):
        return ""
    value = item.meta or item.name.upper()
    return f" [{value}]" if item.const else f" {value}"


if __name__ == "__main__":
    print(page(), end="")
