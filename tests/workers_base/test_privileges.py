"""What a worker gives up, and in which order."""

from __future__ import annotations

import os
import pwd
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from gunicorn.errors import ConfigError
from gunicorn.workers import privileges
from tests.programs import is_root

STRANGER = 61234


class System:
    """Stands in for the calls that only root may make, and keeps account of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, uid: int, gid: int, groups: list[int]):
        self.calls: list[tuple[Any, ...]] = []
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        monkeypatch.setattr(os, "getegid", lambda: gid)
        monkeypatch.setattr(os, "getgroups", lambda: groups)
        for name in ("setuid", "setgid", "setgroups", "initgroups"):
            monkeypatch.setattr(os, name, lambda *args, name=name: self.calls.append((name, *args)))


def test_nothing_happens_when_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(monkeypatch, 1000, 1000, [1000, 4])
    privileges.drop(1000, 1000)
    assert system.calls == []


def test_groups_go_before_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(monkeypatch, 0, 0, [0, 24, 44])
    privileges.drop(1000, 1001)
    assert system.calls == [("setgroups", [24, 44]), ("setgid", 1001), ("setuid", 1000)]


def test_a_group_alone_leaves_root_its_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(monkeypatch, 0, 0, [0, 24])
    privileges.drop(0, 1001)
    assert system.calls == [("setgid", 1001)]


def test_initgroups_uses_the_name_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    name = pwd.getpwuid(0).pw_name
    system = System(monkeypatch, 0, 0, [0])
    privileges.drop(0, 1001, initgroups=True)
    assert system.calls == [("initgroups", name, 1001), ("setgid", 1001)]


def test_initgroups_without_an_entry_sets_the_group_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(monkeypatch, 0, 0, [0, 24])
    privileges.drop(STRANGER, 1001, initgroups=True)
    assert system.calls == [("setgroups", [24]), ("setgid", 1001), ("setuid", STRANGER)]


def test_initgroups_of_a_stranger_that_is_no_root_asks_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = System(monkeypatch, STRANGER, STRANGER, [STRANGER])
    privileges.drop(STRANGER, STRANGER, initgroups=True)
    assert system.calls == []


def in_a_child(check: Callable[[], None]) -> None:
    """Call `check` in a process of its own, for users change for good; what it raises fails."""
    pid = os.fork()
    if not pid:
        try:
            check()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_root_becomes_somebody_else_for_good() -> None:
    assert is_root()

    def check() -> None:
        privileges.drop(STRANGER, STRANGER)
        assert {*os.getresuid(), *os.getresgid()} == {STRANGER}
        assert 0 not in os.getgroups()
        with pytest.raises(PermissionError):
            os.setuid(0)

    in_a_child(check)


def test_anybody_else_is_told_that_it_takes_root() -> None:
    def check() -> None:
        if is_root():
            os.setgroups([])
            os.setresgid(STRANGER, STRANGER, STRANGER)
            os.setresuid(STRANGER, STRANGER, STRANGER)
        with pytest.raises(ConfigError, match=r"may not become user .* Start the server as root"):
            privileges.drop(STRANGER + 1, STRANGER + 1)

    in_a_child(check)
