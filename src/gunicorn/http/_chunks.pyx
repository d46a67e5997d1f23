# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Plain chunks of a body, compiled: the twin of `gunicorn.http.chunks.take_chunks`.

Two passes over the sizes: the first finds how much content there is, the second copies it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from gunicorn.http._octets cimport hexadecimal

cdef enum:
    MAX_DIGITS = 16


cdef inline const unsigned char *data_of(
    const unsigned char *at, const unsigned char *end, Py_ssize_t *size
) noexcept:
    """Where the data of the chunk at `at` begins, its `size` behind it; NULL if it is not plain.

    The chunk is whole before `end`, its line end included.
    """
    cdef unsigned long long value = 0
    cdef int digits = 0, digit
    while at < end and digits < MAX_DIGITS:
        digit = hexadecimal(at[0])
        if digit < 0:
            break
        value = value << 4 | <unsigned long long>digit
        digits += 1
        at += 1
    if digits == 0 or value == 0 or end - at < 4 or at[0] != 13 or at[1] != 10:
        return NULL
    at += 2
    if value > <unsigned long long>(end - at - 2):
        return NULL
    if at[value] != 13 or at[value + 1] != 10:
        return NULL
    size[0] = <Py_ssize_t>value
    return at


def take_chunks(bytes data, Py_ssize_t position, Py_ssize_t limit):
    """See `gunicorn.http.chunks.take_chunks`."""
    cdef const unsigned char *base = <const unsigned char *>PyBytes_AS_STRING(data)
    cdef const unsigned char *end = base + PyBytes_GET_SIZE(data)
    cdef const unsigned char *begin = base + position
    cdef const unsigned char *at = begin
    cdef const unsigned char *found
    cdef Py_ssize_t count = 0, total = 0, size = 0, index
    cdef char *out
    while count < limit:
        found = data_of(at, end, &size)
        if found == NULL:
            break
        total += size
        at = found + size + 2
        count += 1
    if count == 0:
        return b"", position, 0
    cdef bytes content = PyBytes_FromStringAndSize(NULL, total)
    out = PyBytes_AS_STRING(content)
    position = at - base
    at = begin
    for index in range(count):
        found = data_of(at, end, &size)
        memcpy(out, found, size)
        out += size
        at = found + size + 2
    return content, position, count
