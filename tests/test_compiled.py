"""Whether the compiled modules are there, so that no comparison with them is left out unnoticed.

Without them tests/http/test_twins.py and tests/integration/test_exchanges.py have nothing to
compare and are not collected; this test fails where they should have been.
"""

from __future__ import annotations

import os
import sys

from gunicorn import compiled


def test_the_compiled_modules_are_there_as_the_environment_wants() -> None:
    wanted = os.environ.get("GUNICORN_PURE_PYTHON") != "1" and sys.implementation.name == "cpython"
    assert compiled.available() == wanted
