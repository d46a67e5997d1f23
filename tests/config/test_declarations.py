"""The declarations against what users of Gunicorn rely on."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gunicorn.config import Config, reference
from gunicorn.config.settings import SECTIONS

from .facts import ADDED, FACTS

DECLARATIONS = [item for section in SECTIONS for item in section.settings]


def test_names_are_those_of_gunicorn_and_declared_once() -> None:
    names = [item.name for item in DECLARATIONS]
    assert len(names) == len(set(names))
    assert set(names) == set(FACTS) | set(ADDED)


@pytest.mark.parametrize("item", DECLARATIONS, ids=lambda item: item.name)
def test_flags_and_default(item) -> None:
    flags, default = {**FACTS, **ADDED}[item.name]
    assert set(item.cli) == set(flags)
    value = Config(environ={}).settings[item.name].get()
    if default is not ...:
        assert value == default
        assert type(value) is type(default)


@pytest.mark.parametrize("item", DECLARATIONS, ids=lambda item: item.name)
def test_help_is_a_sentence(item) -> None:
    text = inspect.cleandoc(item.help)
    assert text[0].isupper()
    assert text.endswith((".", ")"))
    assert item.summary.rstrip(".")
    assert max(map(len, text.splitlines())) <= 100


def test_reference_page_is_current() -> None:
    path = Path(__file__).parents[2] / "docs" / "settings.md"
    assert path.read_text() == reference.page(), (
        "run: python -m gunicorn.config.reference > docs/settings.md"
    )


def test_reference_page_does_not_depend_on_the_machine(tmp_path: Path) -> None:
    page = subprocess.run(
        [sys.executable, "-m", "gunicorn.config.reference"],
        cwd=tmp_path,
        env={**os.environ, "WEB_CONCURRENCY": "7", "PORT": "9", "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert page == reference.page()


def test_reference_page_tells_everything() -> None:
    page = reference.page()
    for item in DECLARATIONS:
        assert f"### {item.name}\n" in page
        for flag in item.cli:
            assert f"`{flag}" in page
    assert page.count("**not supported yet**") == sum(not item.supported for item in DECLARATIONS)
