"""Tests of the files to deploy with, the demo and the documentation's links."""
