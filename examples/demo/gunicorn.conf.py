"""The configuration of the demo: a configuration file is Python, and each setting a variable."""

wsgi_app = "demo:app"
bind = "127.0.0.1:8000"
workers = 2

# How long an idle connection is kept open for its next request, in seconds.
keepalive = 5

# Requests on standard output, what the server does on standard error.
accesslog = "-"
errorlog = "-"


def when_ready(server):
    """A hook: called once, when the server listens."""
    server.log.info("The demo is at %s", ", ".join(map(str, server.LISTENERS)))
