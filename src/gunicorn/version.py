"""The version, in a module that imports nothing, so that a build can read it.

The major number is the Gunicorn API level that is implemented.
"""

__version__ = "27.1.0"
