"""What every worker is, whatever its way of serving: a process with a life of four steps.

    arbiter                         worker process
    Worker(...)   ->  fork  ->      init_process()   environment, user, signals, application
                                    run()            until `alive` is False
                                    exit             0 asked for, 1 aborted, 3 and 4 never booted

Worker classes, ours and third parties', subclass `Worker` and write `run()`. The contract of a
loop: look at `alive` and `is_parent_alive()` at least once a second, call `notify()` as often, and
poll `PIPE[0]`, which becomes readable at every signal, so that no signal waits for the next second.

The constructor runs in the arbiter, everything else in the child.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol

from gunicorn import collector, scoreboard
from gunicorn.scoreboard import Slot
from gunicorn.workers import copies, failure, hang, lifeline, privileges
from gunicorn.workers.exit_handler import ExitHandler

if TYPE_CHECKING:
    import socket

    from gunicorn.certificates import Reader
    from gunicorn.config import Config
    from gunicorn.glogging import Logger
    from gunicorn.reloader import Reloader
    from gunicorn.workers.certificates import CurrentContext

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class AppLoader(Protocol):
    """What a worker needs of gunicorn.app.base.BaseApplication."""

    def wsgi(self) -> WSGIApplication:
        """Load the application, once, and return the callable."""


class Worker:
    """A process that serves requests; the base of every worker class.

    Hooks are given workers, so the attributes are an interface:

    - `age`: how many workers the arbiter had started when it made this one, counting it.
    - `pid`, `ppid`: process ids of the worker (0 before the fork) and of the arbiter.
    - `sockets`: the listeners. `timeout`: seconds of silence after which the arbiter kills it.
    - `cfg`, `log`, `app`, `wsgi`: configuration, logger, loader, and the loaded application.
    - `alive`: whether to go on serving. `aborted`: whether the arbiter has given it up.
    - `nr`, `max_requests`: requests answered, and after how many to retire (with the jitter
      added; `sys.maxsize` when there is no limit).
    - `tmp`: its slot of the scoreboard. `generation`: the configuration and code it belongs to.
    - `bell`: descriptor that wakes the arbiter when written to; `lifeline`: the read end of a
      pipe that the arbiter holds open as long as it lives; both -1 without an arbiter.
    - `certificates`: what the arbiter keeps of the files of the SSL settings; `tls`: called for
      the context to secure the next connection with; both None without TLS.
    - `become_template`: turns a copy of this process into the template of its generation.
    - `release_listeners`: closes the listeners in the middle of a request; set by classes that can.
    - `announce_end`: has responses say that they are the last on their connections; likewise.
    - `copied`: whether this process is a copy that the application has forked from the worker (see
      `copies`). `private`: descriptors that such a copy loses, beside those that are known here.
    - `surrender`: has the loop of a copy rest, and names its descriptors; likewise.
    """

    can_become_template: ClassVar[bool] = False
    """Whether `fork_template` may be asked for (refork_after): one thread serves everything."""

    serves_one_by_one: ClassVar[bool] = False
    """Whether there is one request at a time, so that the scoreboard tells how long it lasts."""

    limits_requests: ClassVar[bool] = False
    """Whether the worker sees to `request_timeout` itself; else the arbiter aborts it."""

    uses_tls: ClassVar[bool] = False
    """Whether it is `tls` that connections are secured with; else the class has its own ways."""

    late_modules: ClassVar[tuple[str, ...]] = ()
    """Modules that the class, or what it is built on, imports when they are first needed."""

    SIGNALS: ClassVar[list[signal.Signals]] = [
        signal.SIGABRT,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGTTIN,
        signal.SIGTTOU,
        signal.SIGWINCH,
        signal.SIGCHLD,
    ]
    """The signals whose disposition the arbiter changed and a worker starts afresh with."""

    PIPE: Sequence[int] = ()
    """(read end, write end) of the non-blocking pipe that every signal writes to."""

    def __init__(
        self,
        age: int,
        ppid: int,
        sockets: Sequence[socket.socket],
        app: AppLoader,
        timeout: float,
        cfg: Config,
        log: Logger,
    ) -> None:
        self.age = age
        self.pid = 0
        self.ppid = ppid
        self.sockets = sockets
        self.app = app
        self.timeout = timeout
        self.cfg = cfg
        self.log = log
        self.wsgi: WSGIApplication | None = None
        self.alive = True
        self.aborted = False
        self.nr = 0
        self.max_requests = _retire_after(cfg.max_requests, cfg.max_requests_jitter)
        self.generation = 0
        self.tmp = Slot()
        self.bell = -1
        self.lifeline = -1
        self.become_template: Callable[[], NoReturn] | None = None
        self.template_wanted = False
        self.release_listeners: Callable[[], None] | None = None
        self.announce_end: Callable[[], None] | None = None
        self.copied = False
        self.private: list[int] = []
        self.surrender: Callable[[], Iterable[int]] | None = None
        self.reloader: Reloader | None = None
        self.certificates: Reader | None = None
        self.tls: CurrentContext | None = None
        self.witness: hang.Witness | None = None
        self._interrupted = False
        self._quitting = False
        self.exit_handler: ExitHandler | None = None

    def __str__(self) -> str:
        return f"<Worker {self.pid}>"

    @classmethod
    def setup(cls) -> None:
        """Prepare this worker class; the arbiter calls it once, before it binds its listeners."""

    @classmethod
    def setup_preload(cls) -> None:
        """Prepare a process that loads the application and then forks workers of this class."""

    @classmethod
    def check_config(cls, cfg: Config, log: Logger) -> None:
        """Raise ConfigError for settings that this worker class cannot serve with."""

    @property
    def booted(self) -> bool:
        """Whether the application is loaded; true in the arbiter's copy as well."""
        return self.tmp.booted

    @booted.setter
    def booted(self, value: bool) -> None:
        self.tmp.booted = value

    @property
    def ends_now(self) -> bool:
        """Whether the process is on its way out, told to quit or given up by the arbiter.

        Until then an exception that ends processes, such as SystemExit, is the application's.
        """
        return self._quitting or self.aborted

    def mind_exit_handler(self) -> bool:
        """Let no handler of the application's keep SIGTERM from ending this worker in good order.

        For loops, when they start and from time to time. Whether there was a new one.
        """
        return self.exit_handler is not None and self.exit_handler.mind()

    def notify(self) -> None:
        """Tell the arbiter that this worker is alive; at least once in `timeout` seconds."""
        self.tmp.notify()

    def ask_for_successor(self) -> None:
        """Ask to be replaced, and serve until the successor has booted and SIGTERM comes.

        Without an arbiter that could be woken, serving ends.
        """
        if self.bell < 0:
            self.alive = False
        elif not self.tmp.spent:
            self.tmp.spent = True
            try:
                os.write(self.bell, b"\0")
            except OSError as error:
                # It looks once a second anyway.
                self.log.debug("The arbiter cannot be woken: %s", error)

    def requests_in_progress(self) -> Iterable[tuple[Any, Any]]:
        """The requests that the application works on, each with the address of its client."""
        return ()

    # The life of the process

    def init_process(self) -> None:
        """Turn the forked copy of the arbiter into a worker, then serve until told to stop.

        A subclass that overrides this calls it last, as it returns only when `run()` does.
        """
        self.pid = os.getpid()
        self.tmp.pid = self.pid
        scoreboard.own = self.tmp
        held = lifeline.hold(self.lifeline, self.log)
        self.private += [self.bell, self.lifeline, held]
        if self.cfg.reload:
            # First, as its package may be out of reach for the user that the worker becomes.
            self.init_reloader()
        if self.cfg.is_ssl:
            # And before the user is dropped, who may not be allowed to read the key.
            from gunicorn.workers import certificates  # noqa: PLC0415 - it imports ssl, slowly

            self.tls = certificates.current(self)
        self.init_environment()
        self.init_wakeup()
        self.init_descriptors()
        self.init_signals()
        if signal.getsignal(signal.SIGHUP) == self.handle_hangup:
            lifeline.send(held, signal.SIGHUP)
        copies.watch(self)
        self.load_wsgi()
        self.end_copies()
        if self.reloader is not None:
            self.reloader.start()
        self.cfg.post_worker_init(self)
        self.end_copies()
        self.booted = True
        self.run()

    def run(self) -> None:
        """Serve until `alive` is False. Every worker class writes its own."""
        raise NotImplementedError(f"{type(self).__name__} must define run()")

    def init_environment(self) -> None:
        """Take on the identity and surroundings of a worker: variables, user."""
        os.environ.update(self.cfg.env)
        privileges.drop(self.cfg.uid, self.cfg.gid, initgroups=self.cfg.initgroups)
        if self.cfg.spew:
            from gunicorn.workers import spew  # noqa: PLC0415 - rarely needed

            spew.install()

    def init_wakeup(self) -> None:
        """Open PIPE and have every signal written to it, by way of the witness."""
        self.PIPE = os.pipe()
        for fd in self.PIPE:
            os.set_blocking(fd, False)
        self.witness = hang.Witness.start(self, self.PIPE[1])
        bell = self.PIPE[1] if self.witness is None else self.witness.bell
        # A full pipe has woken the loop already: nothing is lost, and nothing to warn of.
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)

    def init_descriptors(self) -> None:
        """Keep listeners and log files out of the programs that the application starts."""
        for sock in self.sockets:
            sock.set_inheritable(False)
        self.log.enter_worker()

    def init_signals(self) -> None:
        """Install the worker's signal handlers in place of the arbiter's."""
        for signum in self.SIGNALS:
            signal.signal(signum, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.signal(signal.SIGQUIT, self.handle_quit)
        signal.signal(signal.SIGINT, self.handle_quit)
        signal.signal(signal.SIGABRT, self.handle_abort)
        signal.signal(signal.SIGUSR1, self.handle_usr1)
        signal.signal(signal.SIGWINCH, self.handle_winch)
        # Meant for the arbiter, yet sent to the whole group by a closing terminal or by a pkill.
        # A handler and not SIG_IGN, which the programs that the application starts would inherit.
        signal.signal(signal.SIGHUP, self.handle_hangup)
        signal.signal(signal.SIGUSR2, self.handle_usr2)
        self._watch_for_lost_exits()
        hang.install_dump(self.log)
        # Requests in progress go on: these must not fail a system call of the application.
        signal.siginterrupt(signal.SIGTERM, False)
        signal.siginterrupt(signal.SIGHUP, False)
        signal.siginterrupt(signal.SIGUSR2, False)
        signal.siginterrupt(signal.SIGUSR1, False)
        self.exit_handler = ExitHandler(self)

    def init_reloader(self) -> None:
        """Make the watcher of source files; it is started once the application is loaded."""
        from gunicorn import reloader  # noqa: PLC0415 - rarely needed

        engine = reloader.engine(self.cfg.reload_engine)
        self.reloader = engine(self.cfg.reload_extra_files, self.handle_source_change)

    def load_wsgi(self) -> None:
        """Load the application into `wsgi`.

        An application that cannot be loaded ends the worker (the exception propagates), except
        under `reload`: then every request is answered with the traceback, and the worker waits
        for the file to be mended.
        """
        try:
            with collector.at_rest():
                self.wsgi = self.app.wsgi()
        except Exception as error:
            if self.reloader is None:
                raise
            self._serve_failure(error, self.reloader)

    def is_parent_alive(self) -> bool:
        """Whether the arbiter that forked this worker is still its parent; logs when it is not."""
        if self.ppid == os.getppid():
            return True
        self.end_copies()
        self.log.info("Parent changed, shutting down: %s", self)
        return False

    def become_copy(self) -> None:
        """In a copy that the application has forked, before anything else runs there."""

    def end_copies(self) -> None:
        """End this process if it is a copy that the application has made of the worker."""
        if copies.is_copy(self):
            copies.leave(self.log)

    # Signals and events

    def handle_exit(self, _sig: int, _frame: FrameType | None) -> None:
        """SIGTERM: finish the requests in progress, then stop."""
        self.alive = False
        if self.announce_end is not None:
            self.announce_end()

    def handle_quit(self, _sig: int, _frame: FrameType | None) -> None:
        """SIGQUIT, SIGINT: stop now, out of whatever the main thread is doing."""
        self.alive = False
        if self._quitting:
            # A terminal sends INT to the group, the arbiter follows with its own. The exit that
            # is under way, with its hooks, must not be cut short by the second.
            return
        self._quitting = True
        self._interrupt()
        sys.exit(0)

    @property
    def told_to_quit(self) -> bool:
        """Whether SIGQUIT or SIGINT has come, and the exit that it makes is under way."""
        return self._quitting

    def handle_abort(self, _sig: int, frame: FrameType | None) -> None:
        """SIGABRT: the arbiter has waited for a sign of life longer than `timeout`."""
        self.alive = False
        self.aborted = True
        self.log.critical("%s", hang.report(self, frame))
        self.cfg.worker_abort(self)
        sys.exit(1)

    def handle_usr1(self, _sig: int, _frame: FrameType | None) -> None:
        """SIGUSR1: reopen the log files."""
        self.log.reopen_files()
        hang.install_dump(self.log)

    def handle_winch(self, _sig: int, _frame: FrameType | None) -> None:
        """SIGWINCH: a terminal was resized; of no concern to a worker."""
        self.log.debug("worker: SIGWINCH ignored.")

    def handle_hangup(self, _sig: int, _frame: FrameType | None) -> None:
        """SIGHUP: the arbiter's business, unless the kernel sends it because the arbiter is gone.

        Then the listeners are let go also in the middle of a request, so that a new server can
        bind while this worker finishes.
        """
        if self.alive and lifeline.await_orphanage(self.lifeline, self.ppid):
            self.alive = self.is_parent_alive()
            if self.release_listeners is not None and self.tmp.busy_since and not self.alive:
                self.release_listeners()

    def handle_usr2(self, _sig: int, _frame: FrameType | None) -> None:
        """SIGUSR2: the arbiter wants this worker to become the template of its generation.

        From anyone else it is of no concern.
        """
        self.template_wanted = self.become_template is not None

    def fork_template(self, release: Callable[[], None]) -> None:
        """Fork a copy that becomes the template; in the copy, `release` lets the clients go.

        By way of a middleman, so that the copy is the arbiter's child.
        """
        self.template_wanted = False
        assert self.become_template is not None
        pid = copies.fork()
        if pid:
            os.waitpid(pid, 0)
            return
        try:
            if os.fork():
                os._exit(0)
        except OSError:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        for fd in self.PIPE:
            os.close(fd)
        if self.witness is not None:
            self.witness.close()
        release()
        self.become_template()

    def handle_source_change(self, filename: str) -> None:
        """Make way for a worker with the new code; runs in the reloader's thread.

        The way out is the same as for SIGTERM, so it works for every worker class. Requests in
        progress get `graceful_timeout` seconds, then the worker quits.
        """
        if copies.is_copy(self):
            # A green thread of the reloader is copied with the rest.
            return
        self.log.info("Worker reloading: %s modified", filename)
        self._interrupt()
        os.kill(self.pid, signal.SIGTERM)
        # As a daemon: when the worker goes in time, its exit does not wait for this.
        quit_later = threading.Timer(self.cfg.graceful_timeout, os.kill, (self.pid, signal.SIGQUIT))
        quit_later.daemon = True
        quit_later.start()

    def handle_error(
        self,
        req: Any,
        client: socket.socket,
        addr: Any,
        exc: BaseException,
    ) -> None:
        """Log what went wrong with a connection and answer it, for loops of third parties.

        The status is `exc.status` where the exception has one (those of gunicorn.http.errors do),
        otherwise 500. `req` is None when the request head was not understood. The client learns
        the status and nothing of the error. The caller closes the connection.
        """
        from gunicorn.workers import refusal  # noqa: PLC0415 - for loops of third parties only

        refusal.answer(self.log, req, client, addr, exc)

    def _serve_failure(self, error: Exception, watcher: Reloader) -> None:
        text = failure.describe(error)
        self.log.error("The application cannot be loaded:\n%s", text.rstrip())
        self.wsgi = failure.FailedApplication(text)
        for filename in failure.source_files(error):
            watcher.add_extra_file(filename)

    def _watch_for_lost_exits(self) -> None:
        """Have `handle_quit` act on the next signal when its exit came to nothing.

        It does when the handler ran inside a destructor or a callback of a weak reference, the
        import system's among them: what these raise is printed and dropped.
        """
        before = sys.unraisablehook

        def hook(dropped: sys.UnraisableHookArgs) -> None:
            if self._quitting and isinstance(dropped.exc_value, SystemExit):
                self._quitting = False
                self.log.debug(
                    "An exit was dropped in %r; the next signal repeats it", dropped.object
                )
            else:
                before(dropped)

        sys.unraisablehook = hook

    def _interrupt(self) -> None:
        if not self._interrupted:
            self._interrupted = True
            self.cfg.worker_int(self)


def _retire_after(max_requests: int, jitter: int) -> int:
    if max_requests <= 0:
        return sys.maxsize
    import random  # noqa: PLC0415 - rarely needed, and slow to import

    # Spread, so that workers started together do not all stop together.
    return max_requests + random.randint(0, jitter)  # noqa: S311 - spreads load, guards nothing
