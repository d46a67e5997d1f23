"""What the arbiter knows of its workers without asking them: shared memory, one slot each.

The arbiter makes the board before it forks, so the same pages are mapped into every worker
(`mmap(-1, size)`, anonymous and shared). A worker writes only its own slot; the arbiter, and
whoever reports statistics, only read. Some cells are the other way round: the arbiter writes and
the worker reads (CLOSING, STOPPING, GIVEN_UP, SHARED). Each cell has one writer; there is
therefore no lock. Only good will holds workers to that, so what is read is checked (`Slot.read`).

Why not a file whose modification time is the heartbeat: a file lives on some file system, a slow
disk under it stops the worker that only wanted to say it is alive, and every container needs
advice about /dev/shm. Here a heartbeat is one store to memory.

A slot is sixteen C doubles, two cache lines, so that two workers never contend for the same line.
A double that is aligned to eight bytes is stored and loaded by one instruction, so a reader sees
the old value or the new one and never half of each. Each cell stands alone: nothing may be
concluded from two cells having been read at the same moment.

Times are `time.monotonic()` seconds. That clock counts from the same origin in every process of
the machine, and setting the date does not move it.
"""

from __future__ import annotations

import io
import mmap
import time

HEARTBEAT = 0
"""Monotonic time of the last sign of life; 0.0 before the first."""
BOOTED = 1
"""Monotonic time at which the worker had loaded its application; 0.0 before."""
REQUESTS = 2
"""Requests answered since the worker started."""
BUSY_SINCE = 3
"""Monotonic time at which the request being answered began; 0.0 when idle."""
CONNECTIONS = 4
"""Client connections that are open."""
PID = 5
"""Process id of the worker; 0 before the fork."""
GENERATION = 6
"""Number of the generation (configuration and application code) the worker belongs to."""
SPENT = 7
"""1.0 once the worker wishes for a successor; it serves until that has booted."""
CLOSING = 8
"""Bits of the listeners (by index in `Worker.sockets`) that nobody will accept from any more.

Written by the arbiter before it asks the worker to stop.
"""
STOPPING = 9
"""1.0 once the arbiter was told to stop the server, also while it delays that."""
ACCEPTING = 10
"""1.0 while the worker takes new connections."""
GIVEN_UP = 11
"""1.0 once the arbiter takes the worker for hanging. Written before it sends SIGABRT."""
SHARED = 12
"""1.0 while somebody outside this server may accept from the listeners. Written by the arbiter."""

LARGEST = 2.0**53
"""What is above it is no number that anybody wrote in earnest: it could not be counted up."""

FRESH = 1.0
"""Seconds for which a heartbeat says that its worker runs."""

CELLS = 16
SLOT_SIZE = CELLS * 8


class Slot:
    """One worker's share of the board.

    A slot made without a board has memory of its own, also shared with processes forked later.
    Hot code stores to `cells[HEARTBEAT]` and its neighbours directly; the rest uses the names.
    """

    __slots__ = ("block", "cells")

    def __init__(
        self, cells: memoryview[float] | None = None, block: memoryview[float] | None = None
    ) -> None:
        self.cells = _shared_cells(1) if cells is None else cells
        self.block = self.cells if block is None else block

    def clear(self) -> None:
        """Set every cell to 0.0 and the heartbeat to now, where a new worker's time-out begins."""
        for index in range(CELLS):
            self.cells[index] = 0.0
        self.notify()

    def notify(self) -> None:
        """Record a sign of life."""
        self.cells[HEARTBEAT] = time.monotonic()

    def read(self, index: int) -> float:
        """The number in a cell; 0.0 when it is no number, negative, or beyond LARGEST.

        The whole board is mapped into every worker, and what runs there may write anything.
        """
        value = float(self.cells[index])
        return value if 0.0 <= value <= LARGEST else 0.0

    def last_update(self) -> float:
        """Return the monotonic time of the last sign of life, in seconds."""
        return self.read(HEARTBEAT)

    @property
    def booted(self) -> bool:
        """Whether the worker has loaded its application."""
        return bool(self.read(BOOTED))

    @booted.setter
    def booted(self, value: bool) -> None:
        self.cells[BOOTED] = time.monotonic() if value else 0.0

    @property
    def booted_at(self) -> float:
        """Monotonic time at which the application was loaded, in seconds; 0.0 before."""
        return self.read(BOOTED)

    @property
    def requests(self) -> int:
        """Requests answered since the worker started."""
        return int(self.read(REQUESTS))

    @requests.setter
    def requests(self, value: int) -> None:
        self.cells[REQUESTS] = float(value)

    @property
    def busy_since(self) -> float:
        """Monotonic time at which the request being answered began; 0.0 when idle."""
        return self.read(BUSY_SINCE)

    @busy_since.setter
    def busy_since(self, value: float) -> None:
        self.cells[BUSY_SINCE] = value

    @property
    def connections(self) -> int:
        """Client connections that are open."""
        return int(self.read(CONNECTIONS))

    @connections.setter
    def connections(self, value: int) -> None:
        self.cells[CONNECTIONS] = float(value)

    @property
    def pid(self) -> int:
        """Process id of the worker; 0 before the fork."""
        return int(self.read(PID))

    @pid.setter
    def pid(self, value: int) -> None:
        self.cells[PID] = float(value)

    @property
    def generation(self) -> int:
        """Number of the generation the worker belongs to."""
        return int(self.read(GENERATION))

    @generation.setter
    def generation(self, value: int) -> None:
        self.cells[GENERATION] = float(value)

    @property
    def spent(self) -> bool:
        """Whether the worker wishes for a successor."""
        return bool(self.read(SPENT))

    @spent.setter
    def spent(self, value: bool) -> None:
        self.cells[SPENT] = float(value)

    @property
    def closing(self) -> int:
        """The listeners that will be closed by everybody, as bits by their index."""
        return int(self.read(CLOSING))

    @closing.setter
    def closing(self, value: int) -> None:
        self.cells[CLOSING] = float(value)

    @property
    def stopping(self) -> bool:
        """Whether the server is about to stop."""
        return bool(self.read(STOPPING))

    @stopping.setter
    def stopping(self, value: bool) -> None:
        self.cells[STOPPING] = float(value)

    @property
    def given_up(self) -> bool:
        """Whether the arbiter takes the worker for hanging."""
        return bool(self.read(GIVEN_UP))

    @given_up.setter
    def given_up(self, value: bool) -> None:
        self.cells[GIVEN_UP] = float(value)

    @property
    def shared(self) -> bool:
        """Whether another arbiter, or the service manager, has the listeners too."""
        return bool(self.read(SHARED))

    @shared.setter
    def shared(self, value: bool) -> None:
        self.cells[SHARED] = float(value)

    def has_siblings(self) -> bool:
        """Whether there is another worker of the same generation."""
        # A process id belongs to one worker, and generations are counted from one.
        own, generation = self.cells[PID], self.cells[GENERATION]
        others = zip(self.block[PID::CELLS], self.block[GENERATION::CELLS], strict=True)
        return any(pid and pid != own and number == generation for pid, number in others)

    def others(self) -> list[int]:
        """Where in `block` the slots of other workers begin, of whatever generation."""
        own = self.cells[PID]
        pids = self.block[PID::CELLS]
        return [place * CELLS for place, pid in enumerate(pids) if pid and pid != own]

    def accepts_at(self, place: int) -> bool:
        """Whether the worker whose slot begins there takes connections."""
        return bool(self.block[place + ACCEPTING])

    def waits_with_fewer(self, place: int, connections: int, now: float) -> bool:
        """Whether the worker there is idle, takes connections, and has fewer than `connections`."""
        block = self.block
        return (
            block[place + CONNECTIONS] < connections
            and bool(block[place + ACCEPTING])
            and not block[place + BUSY_SINCE]
            and now - block[place + HEARTBEAT] < FRESH
        )

    def fileno(self) -> int:
        """Refuse, with `io.UnsupportedOperation` (an OSError): there is no file behind a slot."""
        raise io.UnsupportedOperation("a worker's heartbeat is kept in memory, not in a file")

    def close(self) -> None:
        """Do nothing: the memory goes when the last process that maps it ends.

        Present for worker classes that close `worker.tmp` themselves; later heartbeats still work.
        """


own: Slot | None = None
"""The slot of the worker that this process is."""


def stopping() -> bool:
    """Whether the server was told to stop; it may go on serving for `shutdown_delay` seconds.

    For the health check of an application, in a worker. Elsewhere always False.
    """
    return own is not None and own.stopping


class Scoreboard:
    """The slots of all workers, lent out by the arbiter.

    `capacity` is how many slots are made at once (at least 1). When all are lent the board grows
    by as many again, so that TTIN never meets a limit. A slot made by such growth is shared with
    the processes forked afterwards, among them the worker it is lent to.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a scoreboard needs room for at least one slot, not {capacity}")
        self.capacity = 0
        self._growth = capacity
        self._all: list[Slot] = []
        self._free: list[Slot] = []
        self._lent: list[Slot] = []
        self._grow()

    def acquire(self) -> Slot:
        """Lend a cleared slot, whose heartbeat is now."""
        if not self._free:
            self._grow()
        slot = self._free.pop()
        slot.clear()
        self._lent.append(slot)
        return slot

    def release(self, slot: Slot) -> None:
        """Take back the slot of a worker that has been reaped.

        Raises ValueError when the slot is not lent by this board: releasing it twice would give
        two workers the same memory.
        """
        if slot not in self._lent:
            raise ValueError("this slot is not lent by this scoreboard")
        self._lent.remove(slot)
        # Siblings count each other by it.
        slot.pid = 0
        self._free.append(slot)

    def index(self, slot: Slot) -> int:
        """The place of `slot` on the board, by which a process forked earlier knows it too."""
        return self._all.index(slot)

    def at(self, index: int) -> Slot:
        """The slot at a place. Raises IndexError when this process does not know so many."""
        return self._all[index]

    def slots(self) -> list[Slot]:
        """Return the slots that are lent at present."""
        return list(self._lent)

    def _grow(self) -> None:
        cells = _shared_cells(self._growth)
        # In reverse, so that slots are lent in the order of their addresses.
        starts = range(0, self._growth * CELLS, CELLS)
        slots = [Slot(cells[at : at + CELLS], cells) for at in starts]
        self._all += slots
        self._free += reversed(slots)
        self.capacity += self._growth


def _shared_cells(slots: int) -> memoryview[float]:
    return memoryview(mmap.mmap(-1, slots * SLOT_SIZE)).cast("d")
