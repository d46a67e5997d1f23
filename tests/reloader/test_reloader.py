"""Each engine reports the change of a file, whenever and however it comes to be watched."""

from __future__ import annotations

import importlib
import importlib.util
import os
import queue
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gunicorn import reloader
from gunicorn.errors import ConfigError

DEADLINE = 15.0


@pytest.fixture(params=["poll", "inotify", "auto"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    monkeypatch.setattr(reloader, "INTERVAL", 0.1)
    return reloader.engine(request.param)


class Watch:
    """A running reloader whose reports can be awaited."""

    def __init__(self, engine: type[reloader.Reloader], *files: Path) -> None:
        self.reports: queue.Queue[str] = queue.Queue()
        self.reloader = engine([str(file) for file in files], self.reports.put)
        self.reloader.start()

    def change(self, path: Path) -> str:
        """Write to `path` until something is reported, and return what."""
        for size in range(int(DEADLINE / 0.2)):
            path.write_text("x" * (size + 1))
            try:
                return self.reports.get(timeout=0.2)
            except queue.Empty:
                continue
        raise AssertionError(f"no change reported for {path}")


@pytest.fixture
def watch(engine: type[reloader.Reloader]) -> Iterator[Any]:
    watches: list[Watch] = []

    def start(*files: Path) -> Watch:
        watches.append(Watch(engine, *files))
        return watches[-1]

    yield start
    for each in watches:
        each.reloader.stop()
        each.reloader.join(DEADLINE)
        assert not each.reloader.is_alive()


def test_an_extra_file(watch: Any, tmp_path: Path) -> None:
    template = tmp_path / "page.html"
    template.write_text("")
    assert watch(template).change(template) == str(template)


def test_an_extra_file_by_its_relative_path(
    watch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert watch(Path("page.html")).change(Path("page.html")) == str(tmp_path / "page.html")


def test_a_file_that_appears(watch: Any, tmp_path: Path) -> None:
    late = tmp_path / "late.py"
    assert watch(late).change(late) == str(late)


def test_a_file_added_while_running(watch: Any, tmp_path: Path) -> None:
    running = watch()
    added = tmp_path / "added.py"
    running.reloader.add_extra_file(str(added))
    assert running.change(added) == str(added)


def test_files_below_a_folder(watch: Any, tmp_path: Path) -> None:
    (tmp_path / "templates" / "shop").mkdir(parents=True)
    page = tmp_path / "templates" / "shop" / "page.html"
    page.write_text("")
    assert watch(tmp_path / "templates").change(page) == str(page)


def test_a_module_imported_after_the_start(
    watch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = watch()
    module = tmp_path / "watched_late.py"
    module.write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("watched_late")
    monkeypatch.delitem(sys.modules, "watched_late", raising=False)
    sys.modules["watched_late"] = importlib.util.module_from_spec(
        importlib.util.spec_from_file_location("watched_late", module)  # type: ignore[arg-type]
    )
    assert running.change(module) == str(module)


def test_a_file_that_an_editor_replaces(watch: Any, tmp_path: Path) -> None:
    source = tmp_path / "replaced.py"
    source.write_text("old")
    running = watch(source)
    assert running.change(source) == str(source)
    fresh = tmp_path / "replaced.py~"
    fresh.write_text("a whole new text")
    source.unlink()
    os.replace(fresh, source)
    assert running.reports.get(timeout=DEADLINE) == str(source)


def test_other_files_are_not_reported(watch: Any, tmp_path: Path) -> None:
    watched, other = tmp_path / "watched.py", tmp_path / "other.py"
    watched.write_text("")
    running = watch(watched)
    other.write_text("x")
    running.change(watched)
    other.write_text("xx")
    running.change(watched)
    while not running.reports.empty():
        assert running.reports.get() == str(watched)


def test_polling_when_the_kernel_has_no_watches_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*args: Any, **kwargs: Any) -> Any:
        raise OSError("OS file watch limit reached.")

    monkeypatch.setattr("watchfiles.watch", exhausted)
    monkeypatch.setattr(reloader, "INTERVAL", 0.1)
    running = Watch(reloader.AutoReloader)
    late = tmp_path / "late.py"
    running.reloader.add_extra_file(str(late))
    assert running.change(late) == str(late)
    running.reloader.stop()
    running.reloader.join(DEADLINE)
    assert not running.reloader.is_alive()


def test_the_engines() -> None:
    assert reloader.engine("poll") is reloader.PollReloader
    assert reloader.engine("inotify") is reloader.InotifyReloader
    assert reloader.engine("auto") is reloader.AutoReloader
    with pytest.raises(ConfigError, match="'kqueue' is not one of auto, poll, inotify"):
        reloader.engine("kqueue")


def test_without_watchfiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert reloader.engine("auto") is reloader.PollReloader
    with pytest.raises(ConfigError, match=r"pip install 'gunicorn\[reload\]'"):
        reloader.engine("inotify")([], print)
