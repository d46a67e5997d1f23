# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The conventional exchange on a kept connection, compiled: `gunicorn.workers.exchange` in C.

How to think about it. A request that came whole and has no body, an application that returns a
list of one piece of bytes, and a client that takes it: one recv, one send, and between them
nothing but the application and a few objects. Everything else leaves this road at the first sign
of it and goes on in Python, with nothing done twice.

Short responses of one round leave together: see `gunicorn.workers.exchange`, which this follows.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport EAGAIN, EINTR, errno
from libc.math cimport HUGE_VAL
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strerror
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from gunicorn.http._head cimport HeadParser, Request
from gunicorn.http._response cimport LENGTH, NO_BODY, TAIL, Delimited, Fields, ResponseRenderer

from itertools import chain

from gunicorn.scoreboard import BUSY_SINCE, REQUESTS
from gunicorn.workers import exchange as twin
from gunicorn.wsgi.environ import name_server_by_host
from gunicorn.wsgi.file_wrapper import FileWrapper

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int descriptor, void *buffer, size_t size, int flags)
    ssize_t send(int descriptor, const void *buffer, size_t size, int flags)
    int MSG_NOSIGNAL

cdef extern from *:
    """
    /* What calling the class does, less the call of its __init__. */
    #define NEW(type, arguments) \
        ((PyTypeObject *)(type))->tp_new((PyTypeObject *)(type), arguments, NULL)
    """
    object NEW(type kind, tuple arguments)

cdef enum:
    RECEIVE_SIZE = 65536
    SEND_SIZE = 32768       # responses up to this size are assembled in one buffer
    HELD_ROOM = 65536       # bytes of responses that leave together
    MAX_HELD = 128          # the same in responses
    READING = 0
    READ = 1
    # What became of a response
    NOT_MINE = 0
    SENT = 1
    FINISHED = 2

cdef int BUSY = BUSY_SINCE
cdef int ANSWERED = REQUESTS
cdef tuple HTTP_1_1 = (1, 1)
cdef tuple NOTHING = ()
cdef double HOLD_TIME = twin.HOLD_TIME
cdef double SLOW = twin.SLOW
cdef double CAUTION = twin.CAUTION


cdef inline double monotonic() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef struct Held:
    # A response that is finished and not sent: its connection, and its place in the buffer.
    PyObject *connection
    int start
    int size


cdef class Steady:
    """What all connections of one loop share, at hand without a look-up."""

    cdef char *received     # RECEIVE_SIZE bytes
    cdef char *sending      # HELD_ROOM bytes
    cdef Held held[MAX_HELD]
    cdef int held_count
    cdef int released
    cdef int held_size
    cdef double held_since
    cdef double hold_after
    cdef double now
    cdef bint holds
    cdef bint more_to_come
    cdef double[::1] cells
    cdef HeadParser parser
    cdef ResponseRenderer renderer
    cdef object loop
    cdef object handler
    cdef object worker
    cdef object app
    cdef object access
    cdef type response_class
    cdef object max_requests
    cdef bint keeps_alive
    cdef bint hooked
    cdef public bint copied
    cdef double keepalive
    cdef public double next_tick

    def __cinit__(self, *_):
        # Pages of these become memory where they are used, which mostly is at the beginning.
        self.received = <char *>malloc(RECEIVE_SIZE)
        self.sending = <char *>malloc(HELD_ROOM)
        if self.received == NULL or self.sending == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.received)
        free(self.sending)

    def __init__(self, loop, handler, response_class):
        """`loop` and `handler` are the worker's; their settings do not change any more."""
        self.loop = loop
        self.handler = handler
        self.worker = handler.worker
        self.app = handler.app
        self.access = handler.access
        self.cells = handler.cells
        self.parser = loop.parser
        self.renderer = loop.renderer
        self.response_class = response_class
        self.max_requests = handler.worker.max_requests
        self.keeps_alive = handler.keeps_alive
        self.hooked = handler.pre_request is not None or handler.post_request is not None
        self.keepalive = loop.timeouts.keepalive
        self.holds = loop.holds_responses
        self.next_tick = 0.0

    cdef double refresh_clock(self) except -1.0:
        cdef double now = monotonic()
        self.now = now
        if now >= self.next_tick:
            # The loop looks after its connections, and may make a copy of the process.
            self.release()
            self.loop.refresh_clock()
        return now

    def dispatch(self, list events, dict channels):
        """Let each channel go on that is ready, and is still there when its turn comes."""
        cdef Py_ssize_t left = PyList_GET_SIZE(events)
        self.now = monotonic()
        try:
            for event in events:
                fd, mask = <tuple>event
                left -= 1
                self.more_to_come = self.holds and left > 0
                channel = channels.get(fd)
                if isinstance(channel, Exchange):
                    (<Exchange>channel).ready()
                elif channel is not None:
                    self.release()
                    channel.on_event(mask)
        except BaseException:
            # The worker is told to quit.
            self.more_to_come = False
            self.release()
            raise
        self.release()

    cdef int hold(self, Exchange connection, Py_ssize_t size) except -1:
        """Keep the response of `size` bytes that stands behind those that are held."""
        cdef Held *held = &self.held[self.held_count]
        if not self.held_count:
            self.held_since = self.now
        Py_INCREF(connection)
        connection.held = True
        held.connection = <PyObject *>connection
        held.start = self.held_size
        held.size = <int>size
        self.held_count += 1
        self.held_size += <int>size
        if self.held_count == MAX_HELD or self.held_size > HELD_ROOM - SEND_SIZE:
            self.release()
        return 0

    cdef int release(self) except -1:
        """Send what is held."""
        cdef Held *held
        cdef Exchange connection
        cdef ssize_t sent
        cdef int error
        if not self.held_count:
            return 0
        # What a broken connection leads to may come back here.
        while self.released < self.held_count:
            held = &self.held[self.released]
            self.released += 1
            connection = <Exchange>held.connection
            Py_DECREF(connection)
            connection.held = False
            sent = send(connection.fd, self.sending + held.start, held.size, MSG_NOSIGNAL)
            if sent != held.size:
                error = errno
                connection.send_late(self.sending[held.start : held.start + held.size], sent, error)
        self.released = self.held_count = self.held_size = 0
        return 0


cdef class Response:
    """`gunicorn.wsgi.response.ResponseBase` in C: the road of a response in one piece."""

    cdef public object request
    cdef public object sink
    cdef public ResponseRenderer renderer
    cdef public str status
    cdef public object headers
    cdef public Fields fields
    cdef public object response_length
    cdef public object remaining
    cdef public Py_ssize_t sent
    cdef public int delimiting
    cdef public bint keep_alive
    cdef public bint headers_sent
    cdef public bint aborted
    cdef public bint short

    def __init__(self, request, sink, ResponseRenderer renderer, bint keep_alive):
        self.begin(request, sink, renderer, keep_alive)

    cdef void begin(self, object request, object sink, ResponseRenderer renderer, bint keep_alive):
        self.request = request
        self.sink = sink
        self.renderer = renderer
        self.keep_alive = keep_alive
        self.status = ""
        self.headers = ()
        self.delimiting = LENGTH

    def __call__(self, status, headers, exc_info=None):
        """start_response: the response itself is the callable, so none is made for it."""
        if exc_info is not None or self.fields is not None or type(status) is not str:
            return self.start_response(status, headers, exc_info)
        cdef Fields fields = self.renderer.recognise(status, headers)
        if fields is None or PyBytes_AS_STRING(fields.start)[9] == 49:
            return self.start_response(status, headers, exc_info)
        self.fields = fields
        self.status = status
        self.headers = headers
        return self.write


cdef class Exchange:
    """`gunicorn.workers.exchange.Exchange` in C."""

    cdef public object loop
    cdef public object sock
    cdef public object http
    cdef public object peer
    cdef public dict variables
    cdef public object request
    cdef Steady steady
    cdef bint queued
    cdef bint held
    cdef public double deadline
    cdef public double stuck_at
    cdef public double left_at
    cdef public int fd
    cdef public int state
    cdef public int interest
    cdef public bint begun
    cdef public bint trusted
    cdef public bint calm
    cdef public bint fresh
    cdef public bint used

    def keep_at_hand(self, Steady steady):
        """`steady` serves this connection, which is open."""
        self.steady = steady
        self.trusted = self.http.trusted
        self.variables = self.http.variables

    def on_event(self, int _mask, /):
        """The socket is ready: go on where this connection is."""
        self.ready()

    def send_held(self):
        """Send a response that was to leave with others."""
        if self.held:
            self.steady.release()

    cdef int ready(self) except -1:
        cdef Steady steady = self.steady
        if self.state != READING or not self.calm:
            steady.release()
            if self.state != READING:
                self.go_on()
            else:
                self.read()
            return 0
        if self.held:
            steady.release()
        cdef ssize_t size = recv(self.fd, steady.received, RECEIVE_SIZE, 0)
        cdef int error = errno
        if size > 0:
            # The buffer is everybody's: whatever runs from here on may receive into it.
            data = PyBytes_FromStringAndSize(steady.received, size)
            if steady.hooked or not self.exchange(steady, data):
                steady.release()
                self.take(data)
        elif size == 0:
            self.take(b"")
        elif error == EAGAIN or error == EINTR:
            self.wait_for_data()
        else:
            self.fail(OSError(error, strerror(error).decode()))
        return 0

    cdef bint exchange(self, Steady steady, bytes data) except -1:
        """Serve the request in `data`; False when it is not a conventional one."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef dict variables = PyDict_Copy(self.variables)
        cdef Request request = steady.parser.recognise(
            <const unsigned char *>PyBytes_AS_STRING(data), size, variables, self.trusted
        )
        if request is None:
            return False
        request.data = data
        if request.head_end != size or request.content_length:
            steady.release()
            self.begin(request, data)
            return True
        request.peer_addr = self.peer
        if not variables["SERVER_PORT"]:
            name_server_by_host(variables)
        self.request = request
        self.begun = False

        worker = steady.worker
        number = worker.nr + 1
        worker.nr = number
        if number >= steady.max_requests:
            steady.handler.retire()
        cdef double started = monotonic()
        self.queued = False
        steady.cells[BUSY] = started
        cdef bint keep_alive = request.keep_alive and steady.keeps_alive and worker.alive
        cdef Response response = <Response>NEW(steady.response_class, NOTHING)
        response.begin(request, self, steady.renderer, keep_alive)
        try:
            result = steady.app(variables, response)
        except BaseException as error:
            steady.handler.failed(error, request, response, started)
            self.queued = True
        else:
            if steady.copied:
                steady.handler.end_copy()
            sent = self.send_piece(steady, request, response, result)
            if sent == NOT_MINE:
                sent = self.send_block(steady, request, response, result, started)
            if sent == NOT_MINE:
                steady.release()
                steady.handler.finish(result, request, response, started)
            if sent != SENT:
                self.queued = bool(self.outbox)
            else:
                if steady.access is not None:
                    steady.access(response, request, variables, monotonic() - started)
                steady.cells[ANSWERED] = number
                steady.cells[BUSY] = 0.0
        # The deadline is of the time before the application ran, and a tick would act on it.
        self.deadline = HUGE_VAL
        cdef double now = steady.refresh_clock()
        if now - started > SLOW:
            steady.hold_after = now + CAUTION * (now - started)
        if steady.held_count and (now - steady.held_since > HOLD_TIME or now < steady.hold_after):
            steady.release()
        if self.state == READING and response.keep_alive and not self.queued:
            self.request = None
            self.deadline = now + steady.keepalive
            self.fresh = self.used = True
            if self.interest != READ:
                self.wait_for_data()
        else:
            steady.release()
            self.advance(response)
        return True

    cdef int send_piece(
        self, Steady steady, Request request, Response response, result
    ) except -1:
        """Send a response that is a list of one piece of bytes."""
        cdef Fields fields = response.fields
        if type(result) is not list or PyList_GET_SIZE(result) != 1 or fields is None:
            return NOT_MINE
        piece = <object>PyList_GET_ITEM(result, 0)
        if type(piece) is not bytes or not self.fits(fields, <bytes>piece, response):
            return NOT_MINE
        self.send_short(steady, request, response, <bytes>piece)
        return SENT

    cdef int send_block(
        self, Steady steady, Request request, Response response, result, double started
    ) except -1:
        """Send a response of any other kind whose first block is all that it announced."""
        cdef Fields fields = response.fields
        cdef type kind = type(result)
        if fields is None or fields.size <= 0 or kind is list or kind is tuple:
            return NOT_MINE
        if kind is FileWrapper or response.headers_sent:
            return NOT_MINE
        try:
            iterator = iter(result)
            block = next(iterator, b"")
            if steady.copied:
                steady.handler.end_copy()
            if (
                type(block) is not bytes
                or response.fields is not fields  # it began anew with its first block
                or not self.fits(fields, <bytes>block, response)
            ):
                steady.release()
                blocks = chain((block,), iterator)
            else:
                self.send_short(steady, request, response, <bytes>block)
                if response.delimiting != NO_BODY:
                    # Once more, for what the application does at the end.
                    next(iterator, None)
                if steady.copied:
                    steady.handler.end_copy()
                blocks = None
        except BaseException as error:
            blocks = failing(error)
        if blocks is None:
            steady.handler.close(result, request)
            return SENT
        steady.handler.finish(result, request, response, started, blocks)
        return FINISHED

    cdef bint fits(self, Fields fields, bytes body, Response response):
        """Whether `body` is a whole one that can be sent from the buffer."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
        return (
            size > 0
            and self.calm
            and (fields.size < 0 or fields.size == size)
            and fields.dropped is None
            and not response.headers_sent
            and PyBytes_GET_SIZE(fields.start) + PyBytes_GET_SIZE(fields.block) + TAIL + size
            <= SEND_SIZE
        )

    cdef int send_short(
        self, Steady steady, Request request, Response response, bytes body
    ) except -1:
        """Send the head and `body`, which `fits`, in one piece."""
        cdef Delimited how
        cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
        cdef char *start = steady.sending + steady.held_size
        cdef Py_ssize_t head_size = steady.renderer.write_head(
            start, response.fields, request.method, request.version,
            response.keep_alive, size, &how,
        )
        response.delimiting = how.delimiting
        response.keep_alive = how.keep_alive
        response.response_length = None if how.length < 0 else how.length
        response.headers_sent = True
        self.begun = True
        if how.delimiting == NO_BODY:
            size = 0
        memcpy(start + head_size, PyBytes_AS_STRING(body), size)
        response.sent = size
        response.remaining = 0
        size += head_size
        if steady.more_to_come and how.keep_alive and steady.now >= steady.hold_after:
            steady.hold(self, size)
            return 0
        cdef ssize_t sent = send(self.fd, start, size, MSG_NOSIGNAL)
        cdef int error = errno
        if sent != size:
            data = PyBytes_FromStringAndSize(start, size)
            self.send_rest(data, sent, error)
            self.queued = True
        return 0


def failing(error):
    """An iterator in whose place `error` was raised."""
    yield from ()
    raise error

