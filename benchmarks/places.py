"""Where things are: the three environments, what is compiled, and where results go.

Three environments, because three distributions are called gunicorn: this tree's, this tree's
without its compiled module, and the one on PyPI.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

BUILD = HERE / ".build"
"""What is built here, the environments among it."""

MAIN = BUILD / "venv"
"""This tree's package, the peers, and what the harness itself needs."""
PURE = BUILD / "venv-pure"
"""This tree's package built without its compiled module."""
PYPI = BUILD / "venv-gunicorn"
"""Gunicorn from PyPI."""

FLOOR = BUILD / "floor"
BARE = HERE / "bare.py"
"""The least server of a WSGI application."""
NOT_INSTALLED = BUILD / "not-installed.json"
"""What could not be installed and why: distribution -> reason."""

APPS = HERE / "apps"
WRK_SCRIPTS = HERE / "wrk_scripts"
RESULTS = HERE / "results"
QUICK_RESULTS = BUILD / "quick-results"


def python_of(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / "bin" / "python"
