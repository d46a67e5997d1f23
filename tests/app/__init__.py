"""From a command line to an arbiter."""
