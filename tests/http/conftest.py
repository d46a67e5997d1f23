"""What there is to test; tests/test_compiled.py says whether that is as it should be."""

from gunicorn import compiled

collect_ignore = [] if compiled.available() else ["test_twins.py"]
