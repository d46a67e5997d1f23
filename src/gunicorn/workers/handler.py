"""One request through the application, with everything that surrounds the call.

Whatever way a worker drives its connections, it hands each request and a `Sink` for the response
to one `RequestHandler`, made once per worker: hooks, input, the call, the access log, counting,
and what is left when the application fails.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from gunicorn.http.body import Body
from gunicorn.http.errors import HTTPError, IncompleteBody
from gunicorn.http.request import Request
from gunicorn.http.response import NO_BODY, ResponseRenderer, error_page
from gunicorn.scoreboard import BUSY_SINCE, REQUESTS
from gunicorn.workers.copies import leave
from gunicorn.workers.failure import from_user_code
from gunicorn.workers.interfaces import check_wsgi
from gunicorn.workers.spool import SpooledBody
from gunicorn.workers.takeover import was_taken
from gunicorn.wsgi.environ import name_server_by_host
from gunicorn.wsgi.file_wrapper import FileWrapper
from gunicorn.wsgi.input import Source
from gunicorn.wsgi.response import ClientDisconnected, Response, Sink, is_complete

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker


class RequestHandler:
    """Serves requests with the application of `worker`."""

    def __init__(
        self, worker: Worker, renderer: ResponseRenderer, response_class: type[Response]
    ) -> None:
        cfg = worker.cfg
        assert worker.wsgi is not None
        check_wsgi(worker.wsgi, cfg.worker_class_str)
        self.worker = worker
        self.app = worker.wsgi
        self.log = worker.log
        self.notify: Callable[[], None] = worker.notify
        self.renderer = renderer
        self.cells = worker.tmp.cells
        self.keeps_alive = cfg.keepalive > 0
        self.access = worker.log.access_writer()
        self.pre_request = self.hook("pre_request")
        self.post_request = self.hook("post_request")
        self.response_class = response_class
        self.warned_of_dropped = False
        self.copied = False
        """Whether this process is a copy of the worker, which the application has forked."""
        self.rest_in_copies: Callable[[], object] | None = None
        """What a call of the application does there that had no part in the fork."""
        self.ends_calls = False
        """Whether the loop ends by force the calls that are in progress."""

    def batch_access(self) -> Callable[[], None] | None:
        """Have the lines of the access log written together, if that is possible.

        For one thread, which calls what is returned when a round of requests is over.
        """
        batch = self.worker.log.access_batch()
        if batch is None:
            return None
        self.access = batch
        return batch.flush

    def hook(self, name: str) -> Callable[..., Any] | None:
        """The hook as the user set it; None when it is the default, which does nothing."""
        setting = self.worker.cfg.settings[name]
        return None if setting.value is setting.default else setting.value

    def handle(self, request: Request, sink: Sink, source: Source) -> Response:
        """Answer `request`; what comes of an application's mistakes is dealt with here.

        The response returned may still be on its way (a file). Its `keep_alive` says whether the
        connection can be used again.
        """
        worker = self.worker
        worker.nr += 1
        if worker.nr >= worker.max_requests:
            self.retire()
        started = self.cells[BUSY_SINCE] = monotonic()
        variables = request.variables
        response = self.response_class(
            request, sink, self.renderer, request.keep_alive and self.keeps_alive and worker.alive
        )
        if request.body is not None:
            self.provide_input(request, request.body, source)
        if not variables["SERVER_PORT"]:
            name_server_by_host(variables)
        try:
            if self.pre_request is not None:
                self.pre_request(worker, request)
                self.end_copy()
            result = self.app(variables, response.start_response)
        except BaseException as error:
            self.failed(error, request, response, started)
        else:
            self.end_copy()
            self.finish(result, request, response, started)
        return response

    def end_copy(self, error: BaseException | None = None) -> None:
        """The user's code has returned, or raised `error`: go on only if this is the worker."""
        if self.copied:
            if self.rest_in_copies is not None:
                self.rest_in_copies()
            leave(self.log, error)

    def retire(self) -> None:
        """Enough requests: a successor is wished for, and those that come meanwhile are served."""
        if self.worker.alive and not self.worker.tmp.spent:
            self.log.info("Autorestarting worker after current request.")
            self.worker.ask_for_successor()

    def finish(
        self,
        result: Any,
        request: Request,
        response: Response,
        started: float,
        blocks: Iterable[bytes] | None = None,
    ) -> None:
        """Send what the application returned; `blocks` are what is left to send of it."""
        try:
            if blocks is not None:
                self.send_iterable(blocks, response)
            elif type(result) is list and len(result) == 1:
                response.send_whole(result[0])
            elif isinstance(result, FileWrapper) and self.send_file(result, response, started):
                return
            else:
                self.send_iterable(result, response)
        except BaseException as error:
            self.end_copy(error)
            if self.is_over(error):
                # In the middle of the response.
                response.abandon()
                self.close(result, request)
                raise
            self.fail(error, request, response)
        if result.__class__ is not list:
            self.close(result, request)
        self.complete(request, response, started)

    def failed(
        self, error: BaseException, request: Request, response: Response, started: float
    ) -> None:
        """The application raised before it returned anything."""
        self.end_copy(error)
        if self.is_over(error):
            # In the middle of the request.
            response.abandon()
            raise error
        self.fail(error, request, response)
        self.complete(request, response, started)

    def is_over(self, error: BaseException) -> bool:
        """Whether the server itself ends the call that `error` comes from, and the worker.

        If not, an exception that ends processes or threads elsewhere is a failure like any other:
        no request may end a worker. In a copy of the process it is the end of the copy.
        """
        if isinstance(error, Exception):
            return False
        return self.ends_calls or self.worker.ends_now or os.getpid() != self.worker.pid

    def provide_input(self, request: Request, body: Body, source: Source) -> None:
        """Make `wsgi.input` of a body; one that is here whole has a length, chunked or not."""
        variables = request.variables
        if isinstance(body, SpooledBody):
            variables["wsgi.input"] = body.open(source)
        else:
            # A short one, which is here.
            variables["wsgi.input"] = io.BytesIO(body.take())
        if request.chunked and body.complete:
            # RFC 9112, 7.1.3: a decoded message has a Content-Length in place of the coding.
            variables["CONTENT_LENGTH"] = str(body.received)
            del variables["HTTP_TRANSFER_ENCODING"]

    def send_iterable(self, result: Any, response: Response) -> None:
        if is_complete(result):
            response.send_pieces(result)
            return
        worker = self.worker
        notify = self.notify
        for data in result:
            self.end_copy()
            if not worker.alive and self.is_over(SystemExit()):
                # The application has caught the exception that was to end it.
                sys.exit(0)
            if response.remaining == 0:
                # All that was announced has been sent (PEP 3333, "Handling the Content-Length
                # Header"). It was asked once more, for what the application does at the end.
                break
            if data:
                response.send_block(data)
                # A response that makes progress is a sign of life, however long it takes.
                notify()
                if response.delimiting == NO_BODY:
                    break
            elif response.is_bodiless:
                # It was asked once, and so has begun: what has not does not clean up either.
                break
            else:
                response.sink.look()
        self.end_copy()
        response.finish()

    def send_file(self, result: FileWrapper, response: Response, started: float) -> bool:
        """Hand a file to the loop; the request is complete when the last byte is sent."""
        file = result.file_range()
        if file is None:
            return False
        request = response.request

        if not response.send_file(file, partial(self.end, result, request, response, started)):
            return False
        # The application is done; how long the client takes is not its time.
        self.cells[BUSY_SINCE] = 0.0
        return True

    def end(self, result: Any, request: Request, response: Response, started: float) -> None:
        """The response has left, or never will: the application's `close()`, and the books."""
        try:
            self.close(result, request)
        finally:
            self.complete(request, response, started)

    def complete(self, request: Request, response: Response, started: float) -> None:
        """Log and count a request that is over."""
        self.end_copy()
        if response.fields is not None and response.fields.dropped:
            self.warn_of_dropped(response.fields.dropped)
        if response.short:
            self.log.warning(
                "The response to %s %s ended after %d of %s bytes; the connection is closed.",
                request.method, request.uri, response.sent, response.response_length,
            )  # fmt: skip
        if self.access is not None:
            self.access(response, request, request.variables, monotonic() - started)
        if self.post_request is not None:
            try:
                self.post_request(self.worker, request, request.variables, response)
            except BaseException as error:
                self.end_copy(error)
                if self.is_over(error):
                    raise
                self.log.exception("Exception in post_request hook")
            self.end_copy()
        cells = self.cells
        cells[REQUESTS] = self.worker.nr
        cells[BUSY_SINCE] = 0.0

    def close(self, result: Any, request: Request) -> None:
        """Call the `close()` of an application's iterable, as PEP 3333 promises."""
        close = getattr(result, "close", None)
        if close is None:
            return
        try:
            close()
        except BaseException as error:
            self.end_copy(error)
            if self.is_over(error):
                raise
            self.log.exception("Error closing the response to %s %s", request.method, request.uri)

    # Failures

    def fail(self, error: BaseException, request: Request, response: Response) -> None:
        """The application raised, or what it raised came from the client."""
        self.end_copy(error)
        if was_taken(request.variables):
            self.end_of_takeover(error, request, response)
            return
        if isinstance(error, (ClientDisconnected, IncompleteBody)):
            self.log.debug("Client went away: %s %s: %s", request.method, request.uri, error)
            response.abandon()
            return
        if isinstance(error, SystemExit) and self.worker.mind_exit_handler():
            # It may be a handler of SIGTERM that raised it, set a moment ago.
            self.worker.alive = False
        status, reason, detail = 500, "Internal Server Error", ""
        if isinstance(error, HTTPError):
            self.log.warning("Invalid request from ip=%s: %s", request.remote_addr, error)
            status, reason, detail = error.status, error.reason, str(error)
            # What the client sends from here on cannot be told apart from the rest of this.
            response.keep_alive = False
        else:
            self.log.error(
                "Error handling request %s %s", request.method, request.uri,
                exc_info=(type(error), error, from_user_code(error.__traceback__)),
            )  # fmt: skip
        if response.headers_sent:
            response.abandon()
            return
        self.answer(status, reason, detail, response)

    def end_of_takeover(self, error: BaseException, request: Request, response: Response) -> None:
        """The application took the socket over, and has nothing more to say to the worker.

        Its libraries then raise StopIteration, or return without calling `start_response`.
        """
        if not isinstance(error, (StopIteration, AssertionError, OSError)):
            self.log.error(
                "Error handling request %s %s", request.method, request.uri,
                exc_info=(type(error), error, from_user_code(error.__traceback__)),
            )  # fmt: skip
        response.abandon()

    def answer(self, status: int, reason: str, detail: str, response: Response) -> None:
        """Put an error page in place of what the application began."""
        body = error_page(status, reason, detail)
        fields = [("Content-Type", "text/html; charset=utf-8")]
        response.fields = None
        try:
            response.start_response(f"{status} {reason}", fields)
            response.send_whole(body)
        except ClientDisconnected:
            response.abandon()

    def warn_of_dropped(self, names: list[str]) -> None:
        """Tell the log, once in a process, of fields that were not sent."""
        if not self.warned_of_dropped:
            self.warned_of_dropped = True
            self.log.warning(
                "The application returned hop-by-hop fields, which are the server's (PEP 3333): "
                "%s. Such fields are dropped, here and from now on.",
                ", ".join(names),
            )


def errors_streams(log: Any) -> Callable[[], list[Any]]:
    """The streams that the error log writes to, asked for anew at each call."""

    def streams() -> list[Any]:
        handlers = log.error_log.handlers
        found = [handler.stream for handler in handlers if getattr(handler, "stream", None)]
        return found or [sys.stderr]

    return streams
