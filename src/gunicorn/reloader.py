"""Noticing that the source of the running application has changed.

A reloader is a daemon thread with a callback. It watches the files of every module that is loaded,
looked up anew each time as modules are imported late, and the extra files it is given. It reports
each change by the file's name and decides nothing.

Two engines: `poll` compares modification times once a second and needs nothing; `inotify` is told
by the kernel, through the watchfiles package. `auto` takes the second where it is installed, and
goes over to the first when the kernel has no watches left.

A file may change before it is watched: while the application is imported, say, by the second of
two saves in a row. So the first look reports what has changed since the reloader was made.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from gunicorn.errors import ConfigError

INTERVAL = 1.0
"""Seconds between two looks at the files, and between two looks at which modules are loaded."""

_COMPILED = re.compile(r"\.py[co]$")


class Reloader(threading.Thread, ABC):
    """A thread that calls `callback(filename)` when a watched file changes.

    `extra_files` are files to watch beside the loaded modules; one that does not exist yet is
    watched for its appearance. For a directory every file below it is watched.
    """

    def __init__(self, extra_files: Iterable[str], callback: Callable[[str], None]) -> None:
        super().__init__(name="gunicorn-reloader", daemon=True)
        self._extra_files = {os.path.abspath(name) for name in extra_files}
        self._callback = callback
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._unwatched_since = time.time_ns()

    def add_extra_file(self, filename: str) -> None:
        """Watch `filename` too, from any thread."""
        with self._lock:
            self._extra_files.add(os.path.abspath(filename))

    def stop(self) -> None:
        """Have the thread end within `INTERVAL` seconds."""
        self._stopping.set()

    def files(self) -> set[str]:
        """Return the absolute paths of the files to watch at this moment."""
        with self._lock:
            extra = list(self._extra_files)
        found = _module_files()
        for path in extra:
            found.update(_files_below(path) if os.path.isdir(path) else [path])
        return found

    def poll(self) -> None:
        """Compare times and sizes of the files once in `INTERVAL` seconds, until stopped."""
        seen = {filename: _stamp(filename) for filename in self.files()}
        self.catch_up()
        while True:
            for filename in self.files():
                stamp = _stamp(filename)
                if filename not in seen:
                    seen[filename] = stamp
                elif stamp is not None and stamp != seen[filename]:
                    # A missing file keeps its old stamp: editors replace files in two steps.
                    seen[filename] = stamp
                    self._callback(filename)
            if self._stopping.wait(INTERVAL):
                return

    def catch_up(self) -> None:
        """Report the files that have changed since nobody watched."""
        since, now = self._unwatched_since, time.time_ns()
        for filename in sorted(self.files()):
            stamp = _stamp(filename)
            # What comes from the future (another machine's clock) would look new for ever.
            if stamp is not None and since < stamp[0] <= now:
                self._callback(filename)

    @abstractmethod
    def run(self) -> None:
        """Watch until stopped."""


class PollReloader(Reloader):
    """Looks at the modification time and size of every file, which works everywhere."""

    def run(self) -> None:
        """Watch until stopped."""
        self.poll()


class InotifyReloader(Reloader):
    """Is told of changes by the kernel, through the watchfiles package.

    Folders are watched and not files, as an editor that replaces a file leaves the old one's
    watch behind.
    """

    def __init__(self, extra_files: Iterable[str], callback: Callable[[str], None]) -> None:
        if not _has_watchfiles():
            raise ConfigError(
                "reload_engine: 'inotify' needs the watchfiles package."
                " Install it with: pip install 'gunicorn[reload]'; or choose 'poll'."
            )
        import watchfiles  # noqa: PLC0415 - an optional package

        super().__init__(extra_files, callback)
        self._watch_folders = watchfiles.watch

    def run(self) -> None:
        """Watch until stopped."""
        while not self._stopping.is_set():
            try:
                self._watch(_existing_folders(self.files()))
            except FileNotFoundError:
                # A folder went away between being listed and being watched.
                self._stopping.wait(INTERVAL)

    def _watch(self, folders: set[str]) -> None:
        """Report changes until the set of folders is no longer the right one."""
        watcher = self._watch_folders(
            *sorted(folders),
            watch_filter=None,
            stop_event=self._stopping,
            rust_timeout=int(INTERVAL * 1000),
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
        )
        watched = False
        for changes in watcher:
            if not watched:
                # The kernel has watched since this loop began, and tells within INTERVAL.
                watched = True
                self.catch_up()
            self._unwatched_since = time.time_ns()
            files = self.files()
            for filename in sorted({path for _, path in changes} & _with_real_paths(files)):
                if os.path.exists(filename):
                    self._callback(filename)
            if _existing_folders(files) != folders:
                return


class AutoReloader(InotifyReloader):
    """Is told by the kernel as long as that can be had, and polls from then on."""

    def run(self) -> None:
        """Watch until stopped."""
        try:
            super().run()
        except OSError:
            # The watches allowed to a user are used up (inotify(7)); polling needs none.
            self.poll()


def engine(name: str) -> type[Reloader]:
    """Return the engine called `name`: "auto", "poll" or "inotify".

    Raises ConfigError for another name.
    """
    engines: dict[str, type[Reloader]] = {
        "auto": AutoReloader if _has_watchfiles() else PollReloader,
        "poll": PollReloader,
        "inotify": InotifyReloader,
    }
    if name not in engines:
        raise ConfigError(f"reload_engine: {name!r} is not one of {', '.join(engines)}.")
    return engines[name]


def _has_watchfiles() -> bool:
    return importlib.util.find_spec("watchfiles") is not None


def _module_files() -> set[str]:
    found = set()
    # A copy, as other threads import while this one looks.
    for module in list(sys.modules.values()):
        filename = getattr(module, "__file__", None)
        if isinstance(filename, str):
            found.add(os.path.abspath(_COMPILED.sub(".py", filename)))
    return found


def _files_below(folder: str) -> set[str]:
    return {
        os.path.join(parent, name)
        for parent, folders, names in os.walk(folder)
        if "__pycache__" not in parent
        for name in names
    }


def _existing_folders(files: Iterable[str]) -> set[str]:
    return {folder for folder in map(os.path.dirname, files) if os.path.isdir(folder)}


def _with_real_paths(files: Iterable[str]) -> set[str]:
    # Where a folder is reached through a symbolic link, the kernel may report either name.
    return {name for file in files for name in (file, os.path.realpath(file))}


def _stamp(filename: str) -> tuple[int, int] | None:
    try:
        status = os.stat(filename)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
