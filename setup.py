"""Builds the compiled hot path, which is optional: without a compiler the Python twin serves.

GUNICORN_PURE_PYTHON=1 in the environment leaves it out on purpose.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup


def extensions() -> list[Extension]:
    """The compiled modules, translated by Cython."""
    if os.environ.get("GUNICORN_PURE_PYTHON") == "1" or sys.implementation.name != "cpython":
        return []
    from Cython.Build import cythonize  # noqa: PLC0415 - a pure build does without Cython

    modules = [
        Extension(
            ".".join(path.relative_to("src").with_suffix("").parts),
            [str(path)],
            extra_compile_args=["-O3"],
        )
        for path in sorted(Path("src").rglob("*.pyx"))
    ]
    translated = cythonize(modules, include_path=["src"], build_dir="build/cython")
    for extension in translated:
        # Said here, as the translation forgets it: a build goes on without what does not compile.
        extension.optional = True
    return translated


setup(ext_modules=extensions())
