"""The parts a log is made of: handlers that survive anything, and the access-log format compiled.

``gunicorn.glogging.Logger`` puts them together; nothing here reads the configuration.
"""
