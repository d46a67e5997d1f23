"""What the application's call does with a connection: it sends a response and reads a body.

Neither makes the application wait where that can be helped. What the kernel does not take of a
response is queued: in memory first, then in a file, and only where there is no room is the client
waited for. So is a body that is read while it arrives.
"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING

from gunicorn.http.connection import CONTINUE
from gunicorn.http.errors import BodyTimeout, IncompleteBody
from gunicorn.workers.client import IN_SUBCLASSES, RECEIVE_SIZE, ClientSocket
from gunicorn.workers.outbox import FileRange
from gunicorn.workers.presence import GONE, HERE, LEAVING_TIME, presence_of
from gunicorn.workers.shedding import SLOW
from gunicorn.workers.takeover import was_taken
from gunicorn.wsgi.response import ClientDisconnected

if TYPE_CHECKING:
    from gunicorn.wsgi.response import FileDone


def text(value: str | bytes) -> str:
    """`value` as PEP 3333 has it: bytes stand for the characters of ISO-8859-1."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


class CallSide(ClientSocket):
    """A `Sink` for the application's response and the `Source` of its input."""

    __slots__ = IN_SUBCLASSES

    # Sink

    def send_rest(self, data: bytes, sent: int, error: int) -> None:
        """The kernel took `sent` bytes of `data`, or -1 when there was an `error`."""
        if sent < 0 and error not in (errno.EAGAIN, errno.EINTR):
            self.loop.log.debug("Client %s: %s", self.peer, os.strerror(error))
            self.close()
            return
        self.queue(memoryview(data)[max(sent, 0) :])

    def send(self, data: bytes) -> None:
        self.left_at = 0.0
        if self.outbox and not self.has_caught_up():
            self.queue(data)
            return
        try:
            sent = self.send_bytes(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ClientDisconnected(str(error)) from None
        if sent != len(data):
            self.stuck_at = 0.0
            self.queue(memoryview(data)[sent:])

    def send_parts(self, head: bytes, body: bytes) -> None:
        if self.outbox or not self.plain:
            self.send(head)
            self.send(body)
            return
        try:
            sent = self.sock.sendmsg((head, body))
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ClientDisconnected(str(error)) from None
        if sent < len(head):
            self.queue(memoryview(head)[sent:])
            sent = len(head)
        if sent < len(head) + len(body):
            self.queue(memoryview(body)[sent - len(head) :])

    def send_file(
        self, head: bytes, descriptor: int, offset: int, count: int, done: FileDone
    ) -> None:
        self.send(head)
        # The application may close its file as soon as it is collected.
        descriptor = os.dup(descriptor)

        def finished(sent: int, *, lost: bool) -> None:
            os.close(descriptor)
            done(sent, lost=lost)

        self.outbox.add_file(FileRange(descriptor, offset, count, finished))
        try:
            self.outbox.flush(self.fd, self.send_bytes)
        except BlockingIOError:
            return
        except OSError as error:
            self.loop.log.debug("Client %s: %s", self.peer, error)
            self.abort()

    def has_caught_up(self) -> bool:
        """Send what was queued; whether that was all. Raises when nothing leaves for too long."""
        if self.catch_up():
            self.stuck_at = 0.0
            return not self.outbox
        now = monotonic()
        if not self.stuck_at:
            self.stuck_at = now
        elif now - self.stuck_at > self.loop.timeouts.send:
            raise ClientDisconnected("it does not read")
        return False

    def notify(self) -> None:
        self.loop.notify()

    def look(self) -> None:
        presence = presence_of(self.sock, self.fd, plain=self.plain)
        if presence == HERE:
            return
        if not self.left_at:
            self.left_at = monotonic()
        if presence == GONE or monotonic() - self.left_at > LEAVING_TIME:
            raise ClientDisconnected("it has closed the connection")

    def queue(self, data: bytes | memoryview) -> None:
        """Keep `data` for later, in memory or in a file."""
        self.calm = False
        if self.is_behind:
            self.catch_up()
            if self.spool(data):
                return
        elif self.outbox.is_pressed and self.loop.response_spool.keep(self.outbox, data):
            return
        self.outbox.add(data)

    @property
    def is_behind(self) -> bool:
        """Whether the client left so much unread that no more is kept in memory."""
        outbox = self.outbox
        return outbox.size > self.loop.response_buffer_size or outbox.ends_in_file

    def catch_up(self) -> bool:
        """Send what the client takes now; False when that is nothing."""
        try:
            return self.outbox.flush(self.fd, self.send_bytes) > 0
        except BlockingIOError:
            return False
        except OSError as error:
            raise ClientDisconnected(str(error)) from None

    def spool(self, data: bytes | memoryview) -> bool:
        """Keep `data` in a file, or wait for the client where there is no room for it there.

        False when there is room in memory again.
        """
        loop = self.loop
        since = monotonic()
        loop.waiting_calls.add(self)
        try:
            while self.is_behind:
                if loop.response_spool.keep(self.outbox, data):
                    return True
                if self.outbox.size <= loop.response_buffer_size:
                    return False
                if self.keeps_room_from_others(since):
                    # At once, for the other calls: this one may go on for a while to its end.
                    self.abort()
                    raise ClientDisconnected("it does not read, and there is no more room")
                # Others may leave some room meanwhile.
                deadline = since + loop.timeouts.send
                if not self.wait_once(select.POLLOUT, deadline):
                    if monotonic() >= deadline:
                        raise ClientDisconnected("it does not read")
                elif self.catch_up():
                    since = monotonic()
        finally:
            loop.waiting_calls.discard(self)
        return False

    def keeps_room_from_others(self, since: float) -> bool:
        """Whether calls wait for each other's room in files, and this one has some to give back.

        Nothing of the response has left since then. Connections whose call is over are looked
        after by the loop (see `shedding.occupants`).
        """
        loop = self.loop
        if monotonic() - since < SLOW or len(loop.waiting_calls) < 2:
            return False
        return loop.response_spool.backlog(self.outbox) > 0

    def send_early_hints(self, fields: Iterable[tuple[str | bytes, str | bytes]]) -> None:
        """`wsgi.early_hints`: send 103 Early Hints with `fields` (RFC 8297).

        Nothing is sent once the response has begun, in whose body it would be. Names and values
        may be bytes. Raises `InvalidResponse` for those that are not fit for the wire.
        """
        request = self.request
        if request is None or request.version < (1, 1) or self.begun:
            return
        if was_taken(request.variables):
            return
        hints = [(text(name), text(value)) for name, value in fields]
        # Whether the connection is kept, the final response will say.
        hints = [field for field in hints if str(field[0]).lower() != "connection"]
        rendered = self.loop.renderer.fields("103 Early Hints", hints)
        if rendered.dropped:
            self.loop.handler.warn_of_dropped(rendered.dropped)
        head, _, _, _ = self.loop.renderer.head(rendered, request.method, (1, 1), True, None)
        self.send(head)

    # Source

    def receive_more(self) -> None:
        """Wait for more of a body that an application reads while it arrives."""
        if self.http.behind:
            self.loop.notify()
            self.http.receive_body(b"")
            return
        if self.http.awaiting_continue:
            self.http.awaiting_continue = False
            self.send(CONTINUE)
        started = monotonic()
        patience = self.http.body.patience
        if patience.last:
            # Since then the client waited for the application, not the other way round.
            patience.pause(started - patience.last)
        deadline = self.patience_ends(started)
        while True:
            try:
                data = self.recv(RECEIVE_SIZE)
                break
            except BlockingIOError:
                self.wait(select.POLLIN, deadline, BodyTimeout("the client fell silent"))
            except OSError as error:
                raise IncompleteBody(str(error)) from None
        if not data:
            raise IncompleteBody("the client closed the connection")
        self.loop.notify()
        self.http.receive_body(data)
        self.patience_ends(monotonic())

    def wait(self, events: int, deadline: float, late: Exception) -> None:
        """Wait for this one client, telling the arbiter each second that this is no hang."""
        while monotonic() < deadline:
            if self.wait_once(events, deadline):
                return
        raise late

    def wait_once(self, events: int, deadline: float) -> bool:
        """Wait for this one client for a second at most; whether it is ready."""
        if self.loop.wait_for(self.fd, events, min(max(deadline - monotonic(), 0.0), 1.0)):
            return True
        self.loop.notify()
        return False

    def patience_ends(self, now: float) -> float:
        """When the body has to have gone on."""
        timeouts = self.loop.timeouts
        body = self.http.body
        return body.patience.until(now, body.received, timeouts.body, timeouts.min_body_rate)
