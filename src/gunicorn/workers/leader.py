"""The event loop of several threads: they poll in turn, and who polls serves what it got.

How to think about it. One thread is the leader. It waits for events and lets connections go on,
exactly as the loop of one thread does, the application called from within. A call that is over in
microseconds, as most are, therefore costs no hand-over. A call that lasts loses the lead: the
guard, a thread of the loop's own that never calls the application, sees that the same call is
still going on when it looks again, and another thread becomes the leader. While calls are known
to last, the leader gives the lead away before it calls.

When every thread is in the application, the guard itself leads: it sends what is queued, keeps
the heartbeat and watches time-outs. Connections that become readable meanwhile wait in one queue,
and each thread that is done takes the first of them.

One lock protects everything of the loop. It is held except while polling and while the code of
the user runs (`outside`), so a connection that is being served belongs to its thread: whoever
takes the lead from a thread first takes its connection out of the poll set (`detach`).
"""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic

from gunicorn.syscalls import poll
from gunicorn.workers.base import Worker
from gunicorn.workers.channels import ListenerChannel, WakeupChannel
from gunicorn.workers.client import READING, SENDING
from gunicorn.workers.connection import ConnectionLife
from gunicorn.workers.line import ROUND_SHARE
from gunicorn.workers.loop import TICK
from gunicorn.workers.outside import OutsideLoop
from gunicorn.workers.poller import READ, WRITE
from gunicorn.workers.seat import Seat
from gunicorn.workers.shedding import NO_ROOM, expendable, occupants

GLANCE = 0.005
"""Seconds between two looks of the guard at the leader."""

QUIET_GLANCES = 10
"""Looks without a request after which the guard sleeps until it is woken, or for a TICK."""

LAST_LOOK = 1.0
"""Seconds that threads get to return when the loop ends."""


class SignalChannel(WakeupChannel):
    """Signals wake whoever polls; their handlers need the main thread."""

    def __init__(self, fd: int, main: Seat) -> None:
        super().__init__(fd)
        self.main = main

    def on_event(self, mask: int, /) -> None:
        super().on_event(mask)
        self.main.wake()


class LeaderLoop(OutsideLoop):
    """The connections of `worker`, served by as many threads as its settings say."""

    def __init__(self, worker: Worker) -> None:
        self.idle: list[Seat] = []
        self.waiting: deque[tuple[ConnectionLife, float]] = deque()
        self.owed: deque[Callable[[], None]] = deque()
        """Ends of responses that the guard has sent, each a call of the application."""
        self.threads: list[threading.Thread] = []
        self.draining = False
        self.over = False
        super().__init__(worker)
        self.for_anything: select.poll | None = None
        """Waits for whatever the poller waits for."""
        if self.poller.fileno() >= 0:
            # An epoll descriptor is ready when one of those that it waits for is (epoll(7)).
            self.for_anything = poll()
            self.for_anything.register(self.poller.fileno(), READ)

    # The life of the threads

    def run(self) -> None:
        """Serve until the worker is told to stop; the calling thread is the guard."""
        self.begin()
        for seat in self.seats:
            self.start_thread(self.work, seat)
        try:
            self.watch_over(self.guard)
        except SystemExit:
            # Told to quit, whatever the threads are doing.
            if self.flush_access_log is not None:
                with self.lock:
                    self.flush_access_log()
            raise
        self.end()

    def begin(self) -> None:
        self.add_channel(SignalChannel(self.worker.PIPE[0], self.guard))
        self.start_accepting()
        self.worker.mind_exit_handler()

    def end(self) -> None:
        """Let go of everything; threads that are stuck end with the process."""
        self.lock.acquire()
        self.seat = self.guard
        for connection in list(self.connections.values()):
            connection.close()
        while self.owed:
            self.owed.popleft()()
        if self.flush_access_log is not None:
            self.flush_access_log()
        self.lock.release()
        deadline = monotonic() + LAST_LOOK
        for thread in self.threads:
            if not any(seat.outside and seat.thread == thread.ident for seat in self.seats):
                thread.join(max(deadline - monotonic(), 0.0))
        self.close_poller()

    def start_thread(self, target: Callable[[Seat], None], seat: Seat) -> None:
        # As a daemon: the process can end while an application hangs.
        thread = threading.Thread(target=target, args=(seat,), name=seat.name, daemon=True)
        self.threads.append(thread)
        thread.start()

    def work(self, seat: Seat) -> None:
        """Serve, as the leader or with what waits, until the loop is over."""
        self.lock.acquire()
        self.own.seat = seat
        seat.thread = threading.get_ident()
        while not self.over:
            self.seat = seat
            try:
                self.work_once(seat)
            except BaseException:
                self.log.exception("Error in a thread of the worker, which goes on")
                self.drop(seat)
        self.lock.release()

    def work_once(self, seat: Seat) -> None:
        for _ in range(len(self.owed) + len(self.waiting)):
            if self.owed:
                self.pay()
            elif self.waiting and not self.over:
                self.serve_waiting()
        if self.leader is seat:
            self.lead(seat)
        elif not (self.owed or self.waiting) or self.is_missed():
            self.rest(seat)

    def is_missed(self) -> bool:
        """Whether those in line have nobody who serves them: the guard leads, and must not."""
        return bool(self.line) and self.leader is self.guard and self.for_anything is not None

    def rest(self, seat: Seat) -> None:
        """Sleep until there is something to do."""
        if self.leader is self.guard:
            # Nobody was there to serve new connections.
            if self.for_anything is not None:
                self.leader = seat
                self.resume()
                self.lead(seat)
                return
            self.idle.append(seat)
            self.resume()
        else:
            self.idle.append(seat)
        self.sleep(seat, None)
        if seat in self.idle:
            self.idle.remove(seat)

    def sleep(self, seat: Seat, seconds: float | None) -> bool:
        """Sleep until `seat` is woken, at most for so many seconds; whether it was."""
        self.lock.release()
        try:
            rung = seat.bell.acquire(timeout=-1 if seconds is None else seconds)
        finally:
            self.lock.acquire()
        if seat.rung and not rung:
            rung = seat.bell.acquire()
        seat.rung = False
        self.seat = seat
        return rung

    def drop(self, seat: Seat) -> None:
        """Give up the connection that a thread failed with."""
        if isinstance(seat.connection, ConnectionLife):
            seat.connection.abort()

    # Leading

    def lead(self, seat: Seat) -> None:
        """Wait for events, and deal with them until the lead is lost."""
        if not self.worker.alive and not self.draining:
            self.begin_drain()
        timeout = 0.0 if self.calls_for(seat) else max(self.next_tick - monotonic(), 0.0)
        seat.connection = None
        self.lock.release()
        try:
            events = self.wait(seat, timeout)
        finally:
            self.lock.acquire()
            self.seat = seat
        self.ready = len(events)
        self.line.share = ROUND_SHARE
        self.refresh_clock()
        if self.leader is not seat:
            return
        if seat is self.guard:
            self.keep(seat, events)
        else:
            self.serve(seat, events)
            if self.leader is seat:
                self.line.serve(self.give_turn)
        if self.flush_access_log is not None:
            self.flush_access_log()
        if self.draining and self.leader is seat:
            self.end_when_drained()

    def calls_for(self, seat: Seat) -> bool:
        """Whether there are connections in line for `seat`; the guard only hands over for them."""
        return bool(self.line) and (seat is not self.guard or bool(self.idle))

    def line_up(self, connection: ConnectionLife) -> None:
        self.detach(connection)
        self.line.connections.append(connection)
        if self.seat is not self.leader:
            # Who leads may be waiting for something else.
            self.wake_poller()

    def give_turn(self, connection: ConnectionLife) -> bool:
        seat = self.seat
        seat.connection = connection
        connection.on_event(READ)
        return self.leader is seat

    def wait(self, seat: Seat, timeout: float) -> list[tuple[int, int]]:
        """Wait for events, as `seat`, which leads."""
        if seat is self.guard and self.for_anything is not None:
            # Outside the line of those whom the kernel tells of a new connection: it tells one,
            # and the guard has no use for it while a sibling may have.
            self.for_anything.poll(timeout * 1000)
            timeout = 0.0
        return self.poller.poll(timeout)

    def serve(self, seat: Seat, events: list[tuple[int, int]]) -> None:
        channels = self.channels
        for fd, mask in events:
            channel = channels.get(fd)
            if channel is not None:
                seat.connection = channel
                channel.on_event(mask)
                if self.leader is not seat:
                    # The others are reported again, to whoever leads now.
                    return

    def keep(self, seat: Seat, events: list[tuple[int, int]]) -> None:
        """What the guard does with events: everything that needs no application."""
        wanted = False
        for fd, mask in events:
            channel = self.channels.get(fd)
            if isinstance(channel, ListenerChannel):
                if not self.idle and self.turns.is_alone(self.now):
                    # It is to wait with the others, not until none of them waits any more. With
                    # siblings it waits for them too: the first thread that is free accepts it.
                    channel.on_event(mask)
                else:
                    wanted = True
            elif isinstance(channel, ConnectionLife) and self.may_call(channel):
                self.put_off(channel)
            elif channel is not None:
                seat.connection = channel
                channel.on_event(mask)
                if self.leader is not seat:
                    return
        if self.idle and (wanted or self.waiting or self.owed or self.line):
            self.hand_over(self.idle.pop())
        elif wanted:
            self.stop_accepting()

    def may_call(self, connection: ConnectionLife) -> bool:
        """Whether an event of `connection` can lead to a call of the application."""
        if connection.state == SENDING:
            return bool(connection.http.buffer) or not connection.plain
        return connection.state == READING

    def put_off(self, connection: ConnectionLife) -> None:
        """Let `connection` wait for a thread."""
        self.waiting.append((connection, connection.deadline))
        self.detach(connection)

    def on_a_thread(self, ending: Callable[[], None]) -> None:
        if self.own.seat is self.guard and not self.over:
            self.owed.append(ending)
        else:
            ending()

    def pay(self) -> None:
        """Bring a response to its end that the guard has sent."""
        self.seat.connection = None
        self.owed.popleft()()
        if self.flush_access_log is not None:
            self.flush_access_log()

    def serve_waiting(self) -> None:
        connection, deadline = self.waiting.popleft()
        connection.deadline = deadline
        self.seat.connection = connection
        state = connection.state
        connection.on_event(READ)
        if state == SENDING and connection.state == SENDING:
            connection.want(WRITE)
        if self.flush_access_log is not None:
            self.flush_access_log()

    def detach(self, connection: ConnectionLife) -> None:
        """Take a connection out of the poll set; it belongs to a thread, and has no deadline."""
        if connection.interest:
            del self.channels[connection.fd]
            self.poller.unregister(connection.fd)
            connection.interest = 0
        connection.deadline = inf

    def replace_leader(self) -> None:
        """The leader is in the application: another thread leads."""
        leader = self.leader
        # What it began may take long; the next leader looks after all time-outs.
        self.sweeping = False
        if isinstance(leader.connection, ConnectionLife):
            self.detach(leader.connection)
        self.hand_over(self.idle.pop() if self.idle else self.guard)

    def hand_over(self, seat: Seat) -> None:
        self.leader = seat
        seat.wake()

    def resume(self) -> None:
        if self.worker.alive and self.now >= self.resume_at:
            self.start_accepting()

    def start_accepting(self) -> None:
        if self.leader is not self.guard or self.idle or self.turns.is_alone(self.now):
            super().start_accepting()

    def refresh_clock(self) -> float:
        """The leader alone ticks: the connections of the others are out of its way."""
        self.now = now = monotonic()
        if now >= self.next_tick and self.seat is self.leader:
            self.tick(now)
        return now

    def expire(self, connection: ConnectionLife) -> None:
        """Time is up. The guard cannot look for one more request; a thread will in its turn."""
        if self.seat is self.leader and connection is not self.seat.connection:
            if self.seat is self.guard and self.may_call(connection):
                if self.idle:
                    self.hand_over(self.idle.pop())
                return
            before, self.seat.connection = self.seat.connection, connection
            super().expire(connection)
            self.seat.connection = before

    def closable(self, connection: ConnectionLife) -> bool:
        return connection.deadline < inf and super().closable(connection)

    def make_room(self) -> bool:
        if self.seat is self.guard:
            # Each may have a last request.
            return False
        before = len(self.connections)
        for connection in expendable(self):
            # That may cost the lead.
            if self.seat is not self.leader:
                break
            self.seat.connection = connection
            connection.make_way()
        return len(self.connections) < before

    def relieve(self) -> None:
        if self.file_room.is_wanted:
            for connection in occupants(self):
                # Each end is a call of the application, which may cost the lead.
                if self.seat is not self.leader:
                    break
                connection.give_up(NO_ROOM)

    def may_accept(self) -> bool:
        return super().may_accept() and self.seat is self.leader

    def admit(self, connection: ConnectionLife, *, at_once: bool = True) -> None:
        self.seat.connection = connection
        # What comes with the farewell comes in numbers, for all threads.
        at_once = at_once and not self.draining and self.seat is not self.guard
        super().admit(connection, at_once=at_once)

    def forget(self, connection: ConnectionLife) -> None:
        with self.lock:
            super().forget(connection)

    # The guard

    def watch_over(self, seat: Seat) -> None:
        """See to it that somebody leads who is not in the application."""
        self.own.seat = seat
        self.lock.acquire()
        quiet = 0
        while not self.over:
            try:
                quiet = self.glance(seat, quiet)
            except BaseException as error:
                if not self.survives(error):
                    raise
                self.wake_poller()
        self.lock.release()

    def glance(self, seat: Seat, quiet: int) -> int:
        """Look once, after a while; `quiet` looks before this had nothing to see."""
        self.seat = seat
        leader = self.leader
        if leader is seat:
            self.lead(seat)
            return 0
        serial = leader.serial
        self.asleep = quiet >= QUIET_GLANCES
        # Handlers of signals run in this thread, the main one. The application may have taken
        # away what a signal wakes it by, and the kernel gives the signal to any thread.
        rung = self.sleep(seat, TICK if self.asleep else GLANCE)
        if self.asleep:
            self.asleep = False
            return 0 if rung else quiet
        if self.leader is not leader or leader.serial != serial:
            return 0
        if leader.outside:
            self.replace_leader()
            return 0
        return quiet + 1

    def begin_drain(self) -> None:
        """The worker is to stop: no new connections, and everything that is idle ends soon."""
        raise NotImplementedError

    def end_when_drained(self) -> None:
        """Set `over` when nothing is left to do."""
        raise NotImplementedError
