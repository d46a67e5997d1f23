"""Flask's first page."""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    """Answer with a small text."""
    return "Hello, World!"
