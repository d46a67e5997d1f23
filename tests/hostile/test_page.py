"""docs/slow-clients.md names tests and settings; all of them are there."""

from __future__ import annotations

import re
from pathlib import Path

from gunicorn.config import Config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/slow-clients.md").read_text()


def test_every_test_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 30
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not re.search(rf"^(    )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)
    ]
    assert not missing


def test_every_setting_is_there() -> None:
    settings = Config().settings
    linked = set(re.findall(r"\(settings\.md#(\w+)\)", PAGE))
    assert len(linked) > 12
    assert linked <= set(settings)
    bounds = {name for name, each in settings.items() if each.section == "Slow Clients"}
    assert bounds <= linked
