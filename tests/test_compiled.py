"""Whether the compiled modules are there, so that no comparison with them is left out unnoticed.

Without them tests/http/test_twins.py and tests/integration/test_exchanges.py have nothing to
compare and are not collected; this test fails where they should have been.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gunicorn import compiled, libc


def test_the_compiled_modules_are_there_as_the_environment_wants() -> None:
    wanted = os.environ.get("GUNICORN_PURE_PYTHON") != "1" and sys.implementation.name == "cpython"
    assert compiled.available() == wanted


def test_no_compiled_module_is_forgotten() -> None:
    """The build compiles every source that there is; these are looked for."""
    package = Path(compiled.__file__).parent
    sources = sorted(package.rglob("*.pyx"))
    names = {".".join(each.relative_to(package.parent).with_suffix("").parts) for each in sources}
    assert names == set(compiled.MODULES)


def test_memory_can_be_trimmed_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library has malloc_trim(3), as glibc does."""
    found = libc.trimmer()
    monkeypatch.setenv("GUNICORN_PURE_PYTHON", "1")
    plain = libc.trimmer()
    assert (found is None) == (plain is None)
    if found is not None and plain is not None:
        assert found(0) in {0, 1}
        assert plain(0) in {0, 1}
