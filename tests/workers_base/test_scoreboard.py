"""The board: slots, lending, and that a child's stores are seen by its parent."""

from __future__ import annotations

import os
import time

import pytest

from gunicorn import scoreboard
from gunicorn.scoreboard import CELLS, Scoreboard, Slot


def test_a_slot_says_what_was_stored() -> None:
    slot = Slot()
    assert (slot.last_update(), slot.booted, slot.requests, slot.busy_since) == (0.0, False, 0, 0.0)
    slot.booted, slot.requests, slot.busy_since, slot.connections = True, 12, 3.5, 4
    slot.pid, slot.generation = 4711, 2
    assert (slot.booted, slot.requests, slot.busy_since, slot.connections) == (True, 12, 3.5, 4)
    assert (slot.pid, slot.generation) == (4711, 2)
    assert 0.0 < slot.booted_at <= time.monotonic()
    assert list(slot.cells[2:7]) == [12.0, 3.5, 4.0, 4711.0, 2.0]
    slot.cells[scoreboard.CONNECTIONS] = 9.0
    assert slot.connections == 9


def test_a_heartbeat_is_the_monotonic_time() -> None:
    slot = Slot()
    before = time.monotonic()
    slot.notify()
    assert before <= slot.last_update() <= time.monotonic()


def test_stores_of_a_child_are_seen() -> None:
    slot = Scoreboard(3).acquire()
    pid = os.fork()
    if not pid:
        slot.requests = 7
        slot.cells[scoreboard.PID] = os.getpid()
        os._exit(0)
    os.waitpid(pid, 0)
    assert (slot.requests, slot.pid) == (7, pid)


def test_slots_do_not_share_cells() -> None:
    board = Scoreboard(2)
    first, second = board.acquire(), board.acquire()
    for index in range(CELLS):
        first.cells[index] = 1.0
    assert list(second.cells[1:]) == [0.0] * (CELLS - 1)


def test_a_slot_is_cleared_before_it_is_lent_again() -> None:
    board = Scoreboard(1)
    slot = board.acquire()
    slot.booted, slot.requests = True, 5
    board.release(slot)
    assert board.slots() == []
    before = time.monotonic()
    again = board.acquire()
    assert again is slot
    assert (again.booted, again.requests) == (False, 0)
    assert again.last_update() >= before


def test_the_board_grows() -> None:
    board = Scoreboard(2)
    slots = [board.acquire() for _ in range(5)]
    for number, slot in enumerate(slots):
        slot.requests = number
    assert [slot.requests for slot in board.slots()] == [0, 1, 2, 3, 4]
    assert board.capacity == 6


def test_what_is_not_lent_cannot_be_released() -> None:
    board = Scoreboard(1)
    slot = board.acquire()
    board.release(slot)
    for stranger in (slot, Slot()):
        with pytest.raises(ValueError, match="not lent by this scoreboard"):
            board.release(stranger)


def test_a_board_needs_a_slot() -> None:
    with pytest.raises(ValueError, match="at least one slot, not 0"):
        Scoreboard(0)


def test_a_slot_has_no_file_and_outlives_close() -> None:
    slot = Slot()
    slot.close()
    slot.notify()
    assert slot.last_update() > 0
    with pytest.raises(OSError, match="kept in memory"):
        slot.fileno()
