"""docs/reliability.md names tests for what it promises: they are there."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def test_every_test_that_is_named_exists() -> None:
    text = (ROOT / "docs/reliability.md").read_text()
    named = re.findall(r"`((?:tests/\w+/test_\w+\.py|test_\w+)(?:::test_\w+)?)`", text)
    assert len(named) > 20
    files = {path.stem: path.read_text() for path in HERE.glob("test_*.py")}
    tests = {name for source in files.values() for name in re.findall(r"^def (\w+)", source, re.M)}
    elsewhere = re.findall(r"`(tests/\w+/test_\w+\.py)::(test_\w+)`", text)
    assert len(elsewhere) > 3
    for path, test in elsewhere:
        assert f"def {test}(" in (ROOT / path).read_text(), test
    for name in named:
        file, _, test = name.partition("::")
        if "/" in name:
            assert f"def {test}" in (ROOT / file).read_text(), name
        elif test:
            assert f"def {test}(" in files[file], name
        else:
            assert name in files or name in tests, name
