"""Functions that other packages know by this module's name; each lives elsewhere."""

from __future__ import annotations

from gunicorn.app.loading import import_app
from gunicorn.scoreboard import stopping

__all__ = ["import_app", "stopping"]
