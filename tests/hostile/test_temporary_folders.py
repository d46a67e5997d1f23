"""Temporary files go where there is a place for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.test_bounds_are_given_back import is_kept_in_a_file
from tests.hostile.test_totals import APP, MIB
from tests.integration.conftest import Serve


@pytest.mark.parametrize("problem", ["missing", "no folder"])
def test_the_next_folder_is_tried(serve: Serve, tmp_path: Path, problem: str) -> None:
    """Of those that the system names: TMPDIR, and the usual ones."""
    place = tmp_path / "place"
    if problem == "no folder":
        place.touch()
    server = serve(APP, "--request-buffer-size", "256K", env={"TMPDIR": str(place)})
    assert is_kept_in_a_file(server, Path("/"), 3 * MIB)
    server.never_says("cannot be kept in a file")
