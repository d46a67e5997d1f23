"""The tests, as a package, so that they share helpers: `from tests.servers import Server`."""
