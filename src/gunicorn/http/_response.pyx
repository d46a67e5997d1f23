# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The conventional road of `gunicorn.http.response`, compiled.

How to think about it. Fields that are plain, short and ASCII are copied into one block, and what
is unusual leaves this road for the Python implementation, which has every rule and every error.
An application mostly answers with the very strings of its last response, so these are compared
first, by identity.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_GET_LENGTH
from libc.string cimport memcpy

from gunicorn.http import request as request_module
from gunicorn.http.response import ResponseRenderer as PythonResponseRenderer

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)


cdef tuple VERSION_1_1 = request_module.VERSION_1_1

cdef enum:
    MAX_LAST = 16           # fields of a response that are remembered
    ROOM = 8192             # bytes of fields; a response with more of them takes the other road


cdef class Fields:
    """The same as `gunicorn.http.response.Fields`, its block already in bytes."""


cdef class ResponseRenderer:
    """`gunicorn.http.response.ResponseRenderer` with a fast road of its own."""

    def __init__(self, server="gunicorn"):
        self.python = PythonResponseRenderer(server)
        self.status_lines = self.python.status_lines
        self.starts = self.status_lines
        self.kinds = self.python.kinds
        self.last_strings = []

    cpdef fields(self, status, fields):
        """See `gunicorn.http.response.ResponseRenderer.fields`."""
        cdef Fields known = self.recognise(status, fields)
        if known is None:
            known = self.translate(self.python.fields(status, fields))
        return known

    cdef Fields translate(self, rendered):
        cdef Fields fields = Fields.__new__(Fields)
        fields.start = rendered.start
        fields.block = rendered.block.encode("latin-1")
        fields.length = rendered.length
        fields.size = -1 if rendered.length is None else rendered.length
        fields.close = rendered.close
        fields.upgrade = rendered.upgrade
        fields.dropped = rendered.dropped
        return fields

    cdef Fields recognise(self, status, fields):
        """Fields that are plain, short and ASCII; None for any others."""
        cdef char block[ROOM]
        cdef char *out = block
        cdef const char *text
        cdef Py_ssize_t size, index
        cdef bytes start
        cdef PyObject *found
        cdef PyObject *kind_found
        cdef long kind
        cdef Py_ssize_t length = -1
        cdef object name, value
        if type(status) is not str or type(fields) is not list:
            return None
        found = PyDict_GetItem(self.starts, status)
        if found == NULL:
            return None
        # Held from here on: the status lines are forgotten when a second is over.
        start = <bytes>found
        if PyBytes_AS_STRING(start)[9] == 49:
            return None
        if self.last is not None and self.last.start is start and self.is_last(<list>fields):
            return self.last
        for field in <list>fields:
            if type(field) is not tuple or len(<tuple>field) != 2:
                return None
            name, value = <tuple>field
            if type(name) is not str or type(value) is not str:
                return None
            kind_found = PyDict_GetItem(self.kinds, name)
            if kind_found == NULL or not PyUnicode_IS_COMPACT_ASCII(value):
                return None
            kind = <long><object>kind_found
            text = <const char *>PyUnicode_DATA(value)
            size = PyUnicode_GET_LENGTH(value)
            if kind != FIELD_PLAIN:
                if kind != FIELD_CONTENT_LENGTH or length >= 0 or not 0 < size < 19:
                    return None
                length = 0
                for index in range(size):
                    if not 48 <= text[index] <= 57:
                        return None
                    length = length * 10 + (text[index] - 48)
                continue
            if out - block + PyUnicode_GET_LENGTH(name) + size + 4 > ROOM:
                return None
            for index in range(size):
                if text[index] == 13 or text[index] == 10 or text[index] == 0:
                    return None
            memcpy(out, PyUnicode_DATA(name), PyUnicode_GET_LENGTH(name))
            out += PyUnicode_GET_LENGTH(name)
            out[0] = 58
            out[1] = 32
            memcpy(out + 2, text, size)
            out += 2 + size
            out[0] = 13
            out[1] = 10
            out += 2
        cdef Fields known = Fields.__new__(Fields)
        known.start = start
        known.block = PyBytes_FromStringAndSize(block, out - block)
        known.size = length
        if length >= 0:
            known.length = length
        self.last = None
        if len(<list>fields) <= MAX_LAST:
            self.last_strings = [each for field in <list>fields for each in <tuple>field]
            self.last = known
        return known

    cdef bint is_last(self, list fields):
        """Whether these are the very strings of the last response, as those of constants are."""
        cdef Py_ssize_t index, count = PyList_GET_SIZE(fields)
        cdef PyObject *field
        if PyList_GET_SIZE(self.last_strings) != 2 * count:
            return False
        for index in range(count):
            field = PyList_GET_ITEM(fields, index)
            if (
                type(<object>field) is not tuple
                or PyTuple_GET_SIZE(<object>field) != 2
                or PyTuple_GET_ITEM(<object>field, 0)
                != PyList_GET_ITEM(self.last_strings, 2 * index)
                or PyTuple_GET_ITEM(<object>field, 1)
                != PyList_GET_ITEM(self.last_strings, 2 * index + 1)
            ):
                return False
        return True

    cpdef tuple head(self, Fields fields, str method, tuple version, bint keep_alive, body_length):
        """See `gunicorn.http.response.ResponseRenderer.head`."""
        cdef Delimited how
        cdef Py_ssize_t known = -1 if body_length is None else body_length
        cdef bytes head = PyBytes_FromStringAndSize(
            NULL, PyBytes_GET_SIZE(fields.start) + PyBytes_GET_SIZE(fields.block) + TAIL
        )
        cdef Py_ssize_t size = self.write_head(
            PyBytes_AS_STRING(head), fields, method, version, keep_alive, known, &how
        )
        return (
            head[:size], how.delimiting, None if how.length < 0 else how.length, how.keep_alive
        )

    cdef Py_ssize_t write_head(
        self, char *start, Fields fields, str method, tuple version, bint keep_alive,
        Py_ssize_t known, Delimited *how,
    ):
        """Write the head, of at most TAIL bytes more than start and block, and return its size.

        `known` is the length of the body, or -1.
        """
        cdef char digits[32]
        cdef char *number = digits + 32
        cdef char *out = start
        cdef Py_ssize_t length = fields.size
        cdef Py_ssize_t rest
        cdef int delimiting = LENGTH
        cdef const char *code = PyBytes_AS_STRING(fields.start) + 9
        cdef bint modern = version is VERSION_1_1 or version >= VERSION_1_1
        keep_alive = keep_alive and not (fields.close or (self.closing and code[0] != 49))
        if code[0] == 49 or is_bodiless(code):
            delimiting = NO_BODY
            if code[0] != 51:
                # RFC 9110, 15.3.6: of these, only 205 says that it is empty.
                length = 0 if code[0] == 50 and code[2] == 53 else -1
            if fields.upgrade:
                delimiting, keep_alive = CLOSE, False
        elif method == "HEAD":
            delimiting = NO_BODY
            if length < 0 and known > 0:
                length = known
        elif length < 0:
            if known >= 0:
                length = known
            elif modern:
                delimiting = CHUNKED
            else:
                delimiting, keep_alive = CLOSE, False
        out = put(out, PyBytes_AS_STRING(fields.start), PyBytes_GET_SIZE(fields.start))
        out = put(out, PyBytes_AS_STRING(fields.block), PyBytes_GET_SIZE(fields.block))
        if fields.upgrade:
            pass
        elif not keep_alive:
            out = put(out, b"Connection: close\r\n", 19)
        elif not modern:
            out = put(out, b"Connection: keep-alive\r\n", 24)
        if length >= 0:
            rest = length
            while True:
                number -= 1
                number[0] = <char>(48 + rest % 10)
                rest //= 10
                if rest == 0:
                    break
            out = put(out, b"Content-Length: ", 16)
            out = put(out, number, digits + 32 - number)
            out = put(out, b"\r\n", 2)
        elif delimiting == CHUNKED:
            out = put(out, b"Transfer-Encoding: chunked\r\n", 28)
        out = put(out, b"\r\n", 2)
        how.delimiting = delimiting
        how.length = length
        how.keep_alive = keep_alive
        return out - start


cdef inline bint is_bodiless(const char *code):
    """Whether this is 204, 205 or 304."""
    return code[1] == 48 and (
        (code[0] == 50 and (code[2] == 52 or code[2] == 53)) or (code[0] == 51 and code[2] == 52)
    )


cdef inline char *put(char *out, const char *data, Py_ssize_t size):
    memcpy(out, data, size)
    return out + size
