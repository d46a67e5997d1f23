"""Tests of the protocol, byte by byte."""  # noqa: A005 - in a package, it hides nothing
