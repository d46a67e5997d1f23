# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The looks of the lookout, compiled: `gunicorn.workers.lookout.watch` without the interpreter.

A thread that needs the interpreter's lock a hundred times a second takes it away from the thread
that serves, which costs both some context switches each time. Looking needs no lock.
"""

from libc.errno cimport EINTR, errno
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from gunicorn.scoreboard import BUSY_SINCE, REQUESTS
from gunicorn.workers.lookout import GLANCE, LONG_CALL, QUIET_GLANCES, SAMPLE, Seen

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int POLLIN
    int poll(pollfd *descriptors, unsigned long count, int milliseconds)

cdef int BUSY = BUSY_SINCE
cdef int ANSWERED = REQUESTS
cdef int QUIET_LOOKS = QUIET_GLANCES
cdef int LOOKS = SAMPLE
cdef double INTERVAL = GLANCE
cdef double LONG_MEAN = LONG_CALL

cdef enum:
    RUNG, LASTING, LONG, QUIET

cdef tuple SEEN = (Seen.RUNG, Seen.LASTING, Seen.LONG, Seen.QUIET)


def watch(double[::1] cells, int bell, double patience):
    """See `gunicorn.workers.lookout.watch`."""
    cdef int seen
    with nogil:
        seen = look(cells, bell, patience)
    return SEEN[seen]


cdef int look(double[::1] cells, int bell, double patience) noexcept nogil:
    cdef pollfd rung
    cdef timespec now
    cdef double since
    cdef double answered = cells[ANSWERED]
    cdef double sampled = answered
    cdef int looks = 0, busy = 0, quiet = 0
    rung.fd = bell
    rung.events = POLLIN
    while quiet < QUIET_LOOKS:
        if poll(&rung, 1, <int>(INTERVAL * 1000)) != 0:
            # Or interrupted by a signal: whoever rings expects a look as well.
            return RUNG
        since = cells[BUSY]
        quiet = quiet + 1 if since == 0.0 and cells[ANSWERED] == answered else 0
        answered = cells[ANSWERED]
        if since != 0.0:
            clock_gettime(CLOCK_MONOTONIC, &now)
            if now.tv_sec + now.tv_nsec * 1e-9 - since >= patience:
                return LASTING
            busy += 1
        looks += 1
        if looks == LOOKS:
            if busy * INTERVAL > LONG_MEAN * max(answered - sampled, 1.0):
                return LONG
            looks = busy = 0
            sampled = answered
    return QUIET
