"""Numbers that are no id: -1 in disguise would leave the server with the privileges of root."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import HELLO


@pytest.mark.parametrize("option", ["--user", "--group"])
@pytest.mark.parametrize("number", [4294967294, 4294967295, -1])
def test_an_id_that_means_no_change_is_refused(tmp_path: Path, option: str, number: int) -> None:
    """setuid(2) and chown(2) take 4294967295 for -1: leave it as it is."""
    (tmp_path / "app.py").write_text(HELLO)
    command = [sys.executable, "-m", "gunicorn", "--check-config", f"{option}={number}", "app:app"]
    right = number == 4294967294
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is right, done.stderr
    if not right:
        assert "expected" in done.stderr
