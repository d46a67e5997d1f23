# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""A line of the access log from plain atoms, compiled: the quick half of `gunicorn.logs.access`.

How to think about it. Most lines are made of a few strings that stand in the environ already and
hold nothing that needs an escape. They are copied into one buffer. A value that is missing in an
unusual way, of another type or unsafe in any of its bytes makes the renderer give the whole line
to the Python one, which knows every atom and every escape.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_GET_LENGTH
from libc.stdio cimport snprintf
from libc.string cimport memcpy

from gunicorn.logs.escape import SAFE_BYTES

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)

cdef enum:
    ROOM = 8192             # bytes of a line; a longer one takes the other road

cdef enum Kind:
    LITERAL, VARIABLE, REQUIRED, TIME, STATUS, SENT, SENT_NUMBER, SECONDS, MILLI, MICRO, DECIMAL, USER

cdef unsigned char SAFE[256]
cdef int byte
for byte in range(256):
    SAFE[byte] = byte in SAFE_BYTES

NUMBERS = {"T": SECONDS, "M": MILLI, "D": MICRO, "L": DECIMAL, "B": SENT_NUMBER, "b": SENT}


def plan(pieces):
    """What to do for each of `pieces`, pairs of an atom or None and a text; None if not plain."""
    steps = []
    for atom, text in pieces:
        if atom is None:
            if not text.isascii():
                return None
            steps.append((LITERAL, text.encode()))
        elif text != "s":
            return None
        elif atom == "h":
            steps.append((VARIABLE, "REMOTE_ADDR"))
        elif atom == "f":
            steps.append((VARIABLE, "HTTP_REFERER"))
        elif atom == "a":
            steps.append((VARIABLE, "HTTP_USER_AGENT"))
        elif atom == "m":
            steps.append((VARIABLE, "REQUEST_METHOD"))
        elif atom == "U":
            steps.append((VARIABLE, "PATH_INFO"))
        elif atom == "H":
            steps.append((VARIABLE, "SERVER_PROTOCOL"))
        elif atom == "l":
            steps.append((LITERAL, b"-"))
        elif atom == "u":
            steps.append((USER, None))
        elif atom == "t":
            steps.append((TIME, None))
        elif atom == "s":
            steps.append((STATUS, None))
        elif atom == "r":
            steps += [
                (REQUIRED, "REQUEST_METHOD"), (LITERAL, b" "), (REQUIRED, "RAW_URI"),
                (LITERAL, b" "), (REQUIRED, "SERVER_PROTOCOL"),
            ]
        elif atom in NUMBERS:
            steps.append((NUMBERS[atom], None))
        else:
            return None
    return [*steps, (LITERAL, b"\n")]


cdef class Line:
    """Renders lines by a plan; `python` renders those that it cannot."""

    cdef list steps
    cdef object python
    cdef object timestamp

    def __init__(self, list steps, python, timestamp):
        self.steps = steps
        self.python = python
        self.timestamp = timestamp

    def __call__(self, resp, req, environ, double seconds):
        """The line of one request, with its newline."""
        cdef char buffer[ROOM]
        cdef Py_ssize_t size = -1
        if type(environ) is dict:
            size = self.write(buffer, resp, <dict>environ, seconds)
        if size < 0:
            return self.python(resp, req, environ, seconds)
        return PyBytes_FromStringAndSize(buffer, size)

    cdef Py_ssize_t write(
        self, char *buffer, object resp, dict environ, double seconds
    ) except -2:
        cdef char *out = buffer
        cdef char *end = buffer + ROOM
        cdef int kind
        cdef PyObject *found
        for step in self.steps:
            kind = (<tuple>step)[0]
            argument = (<tuple>step)[1]
            if kind == LITERAL:
                if end - out < PyBytes_GET_SIZE(argument):
                    return -1
                memcpy(out, PyBytes_AS_STRING(argument), PyBytes_GET_SIZE(argument))
                out += PyBytes_GET_SIZE(argument)
            elif kind == VARIABLE:
                found = PyDict_GetItem(environ, argument)
                if found == NULL:
                    out = nothing(out, end)
                else:
                    out = safe(out, end, <object>found)
            elif kind == REQUIRED:
                found = PyDict_GetItem(environ, argument)
                if found == NULL or not <object>found:
                    return -1
                out = safe(out, end, <object>found)
            elif kind == TIME:
                out = copied(out, end, self.timestamp())
            elif kind == STATUS:
                status = resp.status
                if type(status) is not str or len(<str>status) < 3:
                    return -1
                out = safe(out, end, (<str>status)[:3])
            elif kind == USER:
                if "HTTP_AUTHORIZATION" in environ:
                    return -1
                out = nothing(out, end)
            else:
                out = number(out, end, kind, resp, seconds)
            if out == NULL:
                return -1
        return out - buffer


cdef char *nothing(char *out, char *end):
    if out == end:
        return NULL
    out[0] = 45
    return out + 1


cdef char *copied(char *out, char *end, object value):
    """ASCII text of our own; NULL when there is no room for it."""
    if type(value) is not str or not PyUnicode_IS_COMPACT_ASCII(value):
        return NULL
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(value)
    if end - out < size:
        return NULL
    memcpy(out, PyUnicode_DATA(value), size)
    return out + size


cdef char *safe(char *out, char *end, object value):
    """Text of a client, if it needs no escape; NULL if it does, or is no text."""
    if type(value) is not str or not PyUnicode_IS_COMPACT_ASCII(value):
        return NULL
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(value)
    cdef const unsigned char *text = <const unsigned char *>PyUnicode_DATA(value)
    cdef Py_ssize_t index
    if size == 0:
        return nothing(out, end)
    if end - out < size:
        return NULL
    for index in range(size):
        if not SAFE[text[index]]:
            return NULL
        out[index] = text[index]
    return out + size


cdef char *number(char *out, char *end, int kind, object resp, double seconds) except? NULL:
    cdef long long value
    if end - out < 64:
        return NULL
    if kind == DECIMAL:
        return out + snprintf(out, 64, b"%.6f", seconds)
    if kind == SENT or kind == SENT_NUMBER:
        sent = resp.sent
        if type(sent) is not int:
            return NULL
        value = sent
    elif kind == SECONDS:
        value = <long long>seconds
    elif kind == MILLI:
        value = <long long>(seconds * 1000)
    else:
        value = <long long>(seconds * 1000000)
    return out + snprintf(out, 64, b"%lld", value)
