"""Clients that never stop asking, while something is done to the server.

    with Load(server) as load:
        load.settle()                   # what is usual without the fault
        server.send_signal(signal.SIGHUP)
        ...
    load.report("reload")               # prints the counts
    assert load.failed_fresh == []

Each client is a thread. A fresh client opens a connection for each request, a kept one goes on
with the same as long as the server lets it. Every response is checked: its status and its body,
which is what the request asked to be echoed. A server may close a kept connection between two
requests, and a request may cross that on its way (RFC 9112, 9.5): this is counted as `reopened`
and asked once more on a new connection, as browsers and proxies do.
"""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from dataclasses import dataclass
from types import TracebackType

from tests.servers import Server
from tests.waiting import until

APP = """\
import os

def app(environ, start_response):
    body = environ["QUERY_STRING"].encode()
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Worker", str(os.getpid()))])
    return [body]
"""
"""Echoes the query; the field X-Worker tells which process answered."""

LATE = 0.25
"""Seconds beyond the slowest usual request from which on a request is late."""

PAUSE = 0.003
"""Seconds between two requests of a client, so that the clients do not starve the server."""


@dataclass(frozen=True)
class Failure:
    """A request that went wrong, from when on and until when (monotonic seconds)."""

    when: float
    until: float
    fresh: bool
    error: str


class Load:
    """Clients of `server`, `fresh` and `kept`, until the context is left or `stop` is called."""

    def __init__(self, server: Server, fresh: int = 4, kept: int = 4) -> None:
        self.port = server.port
        self.failures: list[Failure] = []
        self.seconds: list[tuple[float, float]] = []
        self.reopened = 0
        self.workers: set[str] = set()
        self.usual = 0.0
        self.mark = 0.0
        self._numbers = itertools.count()
        self._ended = threading.Event()
        kinds = [True] * fresh + [False] * kept
        self._threads = [threading.Thread(target=self._ask_on, args=(kind,)) for kind in kinds]
        self._threads.append(threading.Thread(target=self._feel_stalls))
        self.stall = 0.0
        """Seconds by which a sleep of the clients' process was too long, at most, since settled."""
        self.stalls: list[tuple[float, float]] = []
        """From when until when it did not run though it wanted to."""

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let the requests in progress end, and ask no more."""
        self._ended.set()
        for thread in self._threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self._threads), "a client hangs"

    def settle(self, seconds: float = 1.0) -> None:
        """Note how slow requests are as it is; what comes after this is measured against it."""
        until(lambda: self.seconds, "the first answer")
        self.go_on(seconds)
        self.usual = max(took for _, took in self.seconds)
        self.stall = 0.0
        self.mark = time.monotonic()

    def go_on(self, seconds: float) -> None:
        """Only load, for so long."""
        self._ended.wait(seconds)

    @property
    def failed_fresh(self) -> list[Failure]:
        return [failure for failure in self.failures if failure.fresh]

    @property
    def answered(self) -> int:
        return len(self.seconds)

    def extra(self, share: float = 1.0) -> float:
        """Seconds beyond the slowest usual request, of the slowest `share` of the others."""
        took = sorted(took for began, took in self.seconds if began >= self.mark)
        return took[min(len(took) - 1, int(len(took) * share))] - self.usual

    @property
    def late(self) -> int:
        """How many requests took more than LATE longer than the slowest usual one.

        Where the machine is so busy that processes which want to run do not, by so much more.
        """
        limit = self.usual + LATE + self.stall
        return sum(took > limit for began, took in self.seconds if began >= self.mark)

    def report(self, what: str) -> None:
        """Print the counts."""
        # A server that stops may answer none that began after it was told to.
        later = any(began >= self.mark for began, _ in self.seconds)
        slowest = f"{self.extra() * 1000:+.0f} ms" if later else "none"
        print(
            f"{what}: {self.answered} answered by {len(self.workers)} workers,"
            f" {len(self.failed_fresh)} fresh and {len(self.failures) - len(self.failed_fresh)}"
            f" kept failed, {self.reopened} reopened; slowest {slowest}"
            f" against the slowest before ({self.usual * 1000:.0f} ms), {self.late} late"
            f" (the machine stalled for {self.stall * 1000:.0f} ms)"
        )
        for failure in self.failures[:10]:
            print("   ", failure)

    def _feel_stalls(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            time.sleep(PAUSE)
            ended = time.monotonic()
            self.stall = max(self.stall, ended - began - PAUSE)
            if ended - began > 2 * PAUSE:
                self.stalls.append((began + PAUSE, ended))

    def stalled(self, began: float, ended: float) -> float:
        """Seconds in that time in which the clients' process did not run though it wanted to."""
        return sum(max(0.0, min(ended, end) - max(began, begin)) for begin, end in self.stalls)

    def _ask_on(self, fresh: bool) -> None:
        talk: http.client.HTTPConnection | None = None
        while not self._ended.is_set():
            began = time.monotonic()
            used = talk is not None
            if talk is None:
                talk = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                closes = self._ask(talk, fresh)
            except (OSError, http.client.HTTPException, AssertionError) as error:
                talk.close()
                talk = None
                crossed = isinstance(
                    error, (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError)
                )
                if used and crossed:
                    self.reopened += 1
                    continue
                self.failures.append(Failure(began, time.monotonic(), fresh, repr(error)))
                self._ended.wait(0.05)
                continue
            self.seconds.append((began, time.monotonic() - began))
            if fresh or closes:
                talk.close()
                talk = None
            self._ended.wait(PAUSE)
        if talk is not None:
            talk.close()

    def _ask(self, talk: http.client.HTTPConnection, fresh: bool) -> bool:
        """One request; whether the connection ends with it."""
        number = str(next(self._numbers))
        talk.request("GET", f"/?{number}", headers={"Connection": "close"} if fresh else {})
        response = talk.getresponse()
        body = response.read()
        assert (response.status, body) == (200, number.encode()), (response.status, body)
        self.workers.add(response.headers["X-Worker"])
        return response.will_close
