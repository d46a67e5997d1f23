"""Builds the compiled hot path, which is optional: without a compiler the Python twin serves.

GUNICORN_PURE_PYTHON=1 in the environment leaves it out on purpose.
"""

import os
import sys

from setuptools import Extension, setup

MODULES = (
    "gunicorn._libc",
    "gunicorn.http._head",
    "gunicorn.http._response",
    "gunicorn.logs._line",
    "gunicorn.workers._exchange",
    "gunicorn.workers._lookout",
)


def extensions() -> list[Extension]:
    """The compiled modules, translated by Cython."""
    if os.environ.get("GUNICORN_PURE_PYTHON") == "1" or sys.implementation.name != "cpython":
        return []
    from Cython.Build import cythonize  # noqa: PLC0415 - a pure build does without Cython

    modules = [
        Extension(
            name,
            [f"src/{name.replace('.', '/')}.pyx"],
            extra_compile_args=["-O3"],
        )
        for name in MODULES
    ]
    translated = cythonize(modules, include_path=["src"], build_dir="build/cython")
    for extension in translated:
        # Said here, as the translation forgets it: a build goes on without what does not compile.
        extension.optional = True
    return translated


setup(ext_modules=extensions())
