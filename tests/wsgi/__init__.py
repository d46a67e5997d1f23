"""Tests of the WSGI interface."""
