"""Where the files under test are, and a check of a gunicorn command without running it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DEMO = ROOT / "examples" / "demo"


def check_config(arguments: Sequence[str]) -> None:
    """AssertionError when `gunicorn --check-config ARGUMENTS` refuses, run beside the demo."""
    environ = {name: value for name, value in os.environ.items() if name != "GUNICORN_CMD_ARGS"}
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--check-config", *arguments],
        cwd=DEMO,
        env={**environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
