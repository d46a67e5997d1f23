# What the compiled response head offers to other compiled modules.

cdef enum:
    # gunicorn.http.response
    FIELD_PLAIN = 0
    FIELD_CONTENT_LENGTH = 1
    NO_BODY = 0
    LENGTH = 1
    CHUNKED = 2
    CLOSE = 3


cdef class Fields:
    cdef readonly bytes start
    cdef readonly bytes block
    cdef readonly object length
    cdef Py_ssize_t size    # the same, -1 for None
    cdef readonly bint close
    cdef readonly bint upgrade
    cdef readonly object dropped


cdef enum:
    TAIL = 128              # most bytes of a head behind its block of fields


cdef struct Delimited:
    # How the end of a body is found; `length` is -1 where it is not known.
    int delimiting
    Py_ssize_t length
    bint keep_alive


cdef class ResponseRenderer:
    cdef readonly object python
    cdef readonly object status_lines
    cdef public bint closing
    cdef object starts
    cdef object kinds
    cdef Fields last            # what was recognised last, and the names and values it is made of
    cdef list last_strings

    cdef Fields translate(self, rendered)
    cdef Fields recognise(self, status, fields)
    cdef bint is_last(self, list fields)
    cpdef fields(self, status, fields)
    cpdef tuple head(self, Fields fields, str method, tuple version, bint keep_alive, body_length)
    cdef Py_ssize_t write_head(
        self, char *start, Fields fields, str method, tuple version, bint keep_alive,
        Py_ssize_t known, Delimited *how,
    )
