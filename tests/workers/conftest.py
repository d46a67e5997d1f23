"""What the tests of worker classes share."""

from __future__ import annotations

import pytest

from tests.certificates import Certificate, write_pair


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(*write_pair(tmp_path_factory.mktemp("certificate"), "server"))
