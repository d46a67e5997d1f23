"""Tests of the error log and the access log."""  # noqa: A005 - in a package, it hides nothing
