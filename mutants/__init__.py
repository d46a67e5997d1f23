"""Small faults put into the server on purpose, and the tests that must see each of them.

A line of code that can be broken without any test's failing is a promise that nobody keeps. So each
entry of `mutants.table` breaks one line and names the tests that see it, and `python -m mutants`
tries them one after the other in a copy of the tree. See mutants/README.md.
"""
