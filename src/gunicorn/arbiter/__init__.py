"""The supervisor: one process that starts workers, watches them and replaces them."""

from gunicorn.arbiter.arbiter import Arbiter

__all__ = ["Arbiter"]
