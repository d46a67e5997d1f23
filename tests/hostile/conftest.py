"""The `serve` fixture of the integration tests."""

from __future__ import annotations

from tests.integration.conftest import serve

__all__ = ["serve"]
