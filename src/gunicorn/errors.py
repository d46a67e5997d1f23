"""What can go wrong outside a request.

Each of these ends in one clear message for the person who started the server; none of them is
shown as a traceback of the server's own code.
"""

from __future__ import annotations


class ConfigError(Exception):
    """A setting has a wrong value, comes from an unreadable source, or does not exist.

    The message names the setting, the value, where it came from and what is allowed.
    """


class AppImportError(Exception):
    """The application could not be found or loaded from its name."""


class HaltServer(BaseException):
    """Ends the arbiter's main loop.

    `exit_status` becomes the exit code of the process (1 start failed, 3 workers cannot boot,
    4 the application cannot be loaded).
    """

    def __init__(self, reason: str, exit_status: int = 1) -> None:
        super().__init__(reason, exit_status)
        self.reason = reason
        self.exit_status = exit_status

    def __str__(self) -> str:
        return f"{self.reason} (exit status {self.exit_status})"
