"""Where the logs of a deployment go, and what is read there.

Every way of logging is told by its options, and read by the same questions: which requests are in
the access log, and what was said in the error log. What is in neither of both, the standard streams
have.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections import Counter
from pathlib import Path

LOGCONFIG = """\
[loggers]
keys = root, error, access

[handlers]
keys = console, error, access

[formatters]
keys = plain, bare

[logger_root]
level = WARNING
handlers = console

[logger_error]
level = INFO
handlers = error
propagate = 0
qualname = gunicorn.error

[logger_access]
level = INFO
handlers = access
propagate = 0
qualname = gunicorn.access

[handler_console]
class = StreamHandler
formatter = plain
args = (sys.stderr,)

[handler_error]
class = FileHandler
formatter = plain
args = ("logs/error.log",)

[handler_access]
class = FileHandler
formatter = bare
args = ("logs/access.log",)

[formatter_plain]
format = %(asctime)s [%(process)d] [%(levelname)s] %(message)s

[formatter_bare]
format = %(message)s
"""

DICTCONFIG = """\
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"},
        "bare": {"format": "%(message)s"},
    },
    "handlers": {
        "error": {
            "class": "logging.handlers.WatchedFileHandler",
            "filename": "logs/error.log",
            "formatter": "plain",
        },
        "access": {
            "class": "logging.FileHandler",
            "filename": "logs/access.log",
            "formatter": "bare",
            "delay": True,
        },
    },
    "root": {"level": "WARNING", "handlers": ["error"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["error"], "propagate": False},
        "gunicorn.access": {"level": "INFO", "handlers": ["access"], "propagate": False},
    },
}
"""

LINE = re.compile(r'"(\w+) (\S+) HTTP/1\.[01]" (\d+)')
SEVERE = re.compile(r"\[(WARNING|ERROR|CRITICAL)\]")

Requests = Counter[tuple[str, str, int]]
"""Method, target and status of requests, and how often."""


class Syslog:
    """A syslog daemon: a datagram socket, and a thread that keeps what comes from it."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        path.chmod(0o666)
        self.records: list[tuple[int, str]] = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self) -> None:
        while data := self.sock.recv(65536):
            priority, _, text = data.decode().rstrip("\0").removeprefix("<").partition(">")
            self.records.append((int(priority) & 7, text))

    def text(self, name: str) -> str:
        """The lines for gunicorn.NAME so far, each with the severity in words."""
        words = {2: "[CRITICAL]", 3: "[ERROR]", 4: "[WARNING]", 6: "[INFO]", 7: "[DEBUG]"}
        return "".join(
            f"{words[severity]} {text}\n"
            for severity, text in [*self.records]
            if re.match(rf"gunicorn\.\S+\.{name}: ", text)
        )

    def close(self) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.sock.close()


class Logs:
    """The logs of one server in `folder`, where its standard streams are the files out and err."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        (folder / "logs").mkdir()
        self.syslog = Syslog(folder / "syslog") if kind == "syslog" else None
        if kind == "logconfig":
            (folder / "logging.ini").write_text(LOGCONFIG)
        if kind == "dictconfig":
            (folder / "gunicorn.conf.py").write_text(DICTCONFIG)

    @property
    def options(self) -> list[str]:
        files = ["--access-logfile", "logs/access.log", "--error-logfile", "logs/error.log"]
        return {
            "streams": ["--access-logfile", "-"],
            "files": files,
            "json": [*files, "--access-logformat", "json"],
            "capture": [*files, "--capture-output"],
            "syslog": ["--log-syslog", "--log-syslog-to", f"unix://{self.folder}/syslog#dgram"],
            "logconfig": ["--log-config", "logging.ini"],
            "dictconfig": [],
        }[self.kind]

    @property
    def in_files(self) -> bool:
        return self.kind not in {"streams", "syslog"}

    def stream(self, name: str) -> str:
        return (self.folder / name).read_text()

    def file(self, name: str) -> str:
        """The file of that name, after the one of that name that was rotated."""
        paths = [self.folder / "logs" / f"{name}.log{end}" for end in (".1", "")]
        return "".join(path.read_text() for path in paths if path.exists())

    def access(self) -> str:
        """The access log so far, and nothing else."""
        if self.syslog:
            return self.syslog.text("access")
        if self.in_files:
            return self.file("access")
        lines = self.stream("out").splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("printed "))

    def error(self) -> str:
        """The error log so far."""
        if self.syslog:
            return self.syslog.text("error")
        return self.file("error") if self.in_files else self.stream("err")

    def requests(self, text: str) -> Requests:
        """The requests of an access log; AssertionError when there is anything else."""
        requests: Requests = Counter()
        for line in text.splitlines():
            if self.kind == "json" and line.startswith("{"):
                facts = json.loads(line)
                requests[facts["method"], facts["target"], facts["status"]] += 1
            else:
                found = LINE.search(line)
                assert found, f"a line in the access log that is none: {line!r}"
                requests[found[1], found[2], int(found[3])] += 1
        return requests

    def rotate(self) -> None:
        """Move the files away, as logrotate does before USR1."""
        for path in (self.folder / "logs").iterdir():
            path.rename(f"{path}.1")

    def close(self) -> None:
        if self.syslog:
            self.syslog.close()
