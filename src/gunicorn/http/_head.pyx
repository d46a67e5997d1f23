# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The conventional road of `gunicorn.http.head` and of `gunicorn.http.response`, compiled.

How to think about it. One pass over the bytes of a request head recognises what nearly all heads
are and puts each field into the environ as it goes. At the first byte that is not conventional
the pass gives up and leaves the head to the Python implementation, which it extends: whatever is
rare, permitted or forbidden has one implementation, and so has every error.

Requests resemble the last ones: the names mostly come in the order in which they came before,
many with the values they had. So each name is first compared with the one that followed last
time, and its value with its last one, which was looked at byte by byte then.

What is remembered (names, values, hosts) is bounded, because clients choose it.
"""

import os
import sys

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem, PyDict_SetItem
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_DecodeLatin1, PyUnicode_GET_LENGTH
from libc.stdint cimport uint64_t  # noqa: F401 - for the C below
from libc.string cimport memchr, memcmp, memcpy

from gunicorn.http import careful
from gunicorn.http import request as request_module
from gunicorn.http.head import HeadParser as PythonHeadParser
from gunicorn.http.response import ResponseRenderer as PythonResponseRenderer

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)


cdef enum:
    MAX_NAMES = 1024
    MAX_FIELDS = 128        # heads with more of them take the other road
    MAX_TRIES = 32          # slots that are looked at for a name
    MAX_MEMO = 256          # bytes of a value that is worth remembering

cdef enum Kind:
    PLAIN, HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, EXPECT, SCHEME

# Classes of bytes: RFC 9110, 5.6.2 (token) and 5.5 (field content); request targets as
# gunicorn.http.head takes them.
cdef enum:
    TOKEN = 1
    CONTENT = 2
    PATH = 4
    QUERY = 8
    METHOD = 16

cdef unsigned char CLASSES[256]


cdef void classify():
    cdef int byte
    for byte in range(256):
        CLASSES[byte] = 0
        if byte == 9 or (byte >= 32 and byte != 127):
            CLASSES[byte] |= CONTENT
        if 33 <= byte <= 126 or byte >= 128:
            if byte != 35:  # "#"
                CLASSES[byte] |= QUERY
                if byte != 63:  # "?"
                    CLASSES[byte] |= PATH
    for byte in b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ":
        CLASSES[byte] |= TOKEN
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        CLASSES[byte] |= METHOD


classify()

cdef str GET = "GET"
cdef str POST = "POST"
cdef str SLASH = "/"
cdef str EMPTY = ""
cdef str HTTP_1_0 = "HTTP/1.0"
cdef str HTTP_1_1 = "HTTP/1.1"
cdef str HTTP = "http"
cdef str HTTPS = "https"
cdef str URL_SCHEME = "wsgi.url_scheme"
cdef str REQUEST_METHOD = "REQUEST_METHOD"
cdef str RAW_URI = "RAW_URI"
cdef str QUERY_STRING = "QUERY_STRING"
cdef str PATH_INFO = "PATH_INFO"
cdef str SERVER_PROTOCOL = "SERVER_PROTOCOL"
cdef tuple VERSION_1_1 = (1, 1)
cdef tuple VERSION_1_0 = (1, 0)
cdef dict KINDS = {
    "HTTP_HOST": HOST,
    "CONTENT_LENGTH": CONTENT_LENGTH,
    "HTTP_TRANSFER_ENCODING": TRANSFER_ENCODING,
    "HTTP_CONNECTION": CONNECTION,
    "HTTP_EXPECT": EXPECT,
}


cdef extern from *:
    """
    /* The first byte from `at` that ends a field value or makes it unusual, eight at a time: every
       byte is asked whether it is below 32 or equal to 127. */
    static inline const unsigned char *skip_content(
        const unsigned char *at, const unsigned char *end, const unsigned char *classes)
    {
        const uint64_t ones = 0x0101010101010101ULL, high = ones << 7;
        while (end - at >= 8) {
            uint64_t word, low, del;
            memcpy(&word, at, 8);
            low = (word - ones * 32) & ~word;
            del = word ^ (ones * 127);
            del = (del - ones) & ~del;
            if ((low | del) & high)
                break;
            at += 8;
        }
        while (at < end && (classes[*at] & 2))
            at++;
        return at;
    }
    """
    const unsigned char *skip_content(
        const unsigned char *at, const unsigned char *end, const unsigned char *classes
    ) nogil


cdef inline str text(const unsigned char *start, Py_ssize_t size):
    return PyUnicode_DecodeLatin1(<const char *>start, size, NULL)


cdef class Request:
    """The same as `gunicorn.http.request.Request`, with its attributes in a C structure."""

    fragment = ""

    @property
    def field_block(self):
        return self.data[self.block_start : self.head_end - 2].decode("latin-1")

    path = request_module.Request.path
    query = request_module.Request.query
    headers = request_module.Request.headers
    trailers = request_module.Request.trailers
    scheme = request_module.Request.scheme
    remote_addr = request_module.Request.remote_addr
    should_close = request_module.Request.should_close


cdef class HeadParser:
    """`gunicorn.http.head.HeadParser` with a fast road of its own."""

    def __init__(self, policy):
        self.policy = policy
        self.python = PythonHeadParser(policy)
        self.surely_within = self.python.surely_within
        self.max_fields = min(self.python.max_fields, MAX_FIELDS)
        self.script_name = self.python.script_name
        self.schemes = self.python.scheme_fields
        self.hosts = self.python.hosts
        self.limits_body = policy.limit_request_body > 0
        self.variables = [None] * NAME_SLOTS
        self.values = [""] * NAME_SLOTS
        self.first_slots = {}
        # Clients choose the names, and must not know which of them meet in one slot.
        self.seed = int.from_bytes(os.urandom(4), "little")

    def __getattr__(self, name):
        return getattr(self.python, name)

    def parse(self, bytes data, Py_ssize_t start, dict variables, bint trusted):
        """See `gunicorn.http.head.HeadParser.parse`."""
        cdef const unsigned char *base = <const unsigned char *>PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data) - start
        cdef Request request = self.recognise(base + start, size, variables, trusted)
        if request is None:
            return self.python.parse(data, start, variables, trusted)
        request.data = data
        request.block_start += start
        request.head_end += start
        return request

    cdef Request recognise(
        self, const unsigned char *base, Py_ssize_t available, dict variables, bint trusted
    ):
        """The request whose conventional head begins at `base`; None for any other head.

        Nothing is stored before the whole head is recognised. The caller sets `data`, the bytes
        of the head, from which the list of fields is made if anybody asks.
        """
        cdef const unsigned char *end = base + available
        cdef const unsigned char *at = base
        cdef const unsigned char *method = at
        cdef const unsigned char *target
        cdef const unsigned char *query = NULL
        cdef const unsigned char *block
        cdef const unsigned char *mark
        cdef Py_ssize_t method_size, target_size, path_size, size
        cdef Span spans[MAX_FIELDS]
        cdef Py_ssize_t count = 0
        cdef Py_ssize_t index
        cdef bint encoded = False
        cdef int minor, kind, found
        cdef int slot = NAME_SLOTS      # its `next` is the name that mostly comes first
        cdef Name *name
        cdef unsigned int hashed
        cdef int host = -1, length = -1, connection = -1, scheme = -1

        # method SP
        while at < end and CLASSES[at[0]] & METHOD:
            at += 1
        method_size = at - method
        if method_size < 3 or method_size > 20 or at >= end or at[0] != 32:
            return None
        if method_size == 7 and memcmp(method, b"CONNECT", 7) == 0:
            return None
        # request-target SP, in origin-form
        at += 1
        target = at
        if at >= end or at[0] != 47:
            return None
        while at < end and CLASSES[at[0]] & PATH:
            if at[0] == 37:
                encoded = True
            at += 1
        path_size = at - target
        if at < end and at[0] == 63:
            at += 1
            query = at
            while at < end and CLASSES[at[0]] & QUERY:
                at += 1
        target_size = at - target
        # HTTP-version CRLF
        if end - at < 13 or memcmp(at, b" HTTP/1.", 8) != 0 or at[9] != 13 or at[10] != 10:
            return None
        minor = at[8] - 48
        if minor != 0 and minor != 1:
            return None
        at += 11
        block = at

        # *( field-name ":" OWS field-value OWS CRLF ) CRLF
        self.serial += 1
        cdef unsigned int serial = self.serial
        while True:
            if end - at < 2:
                return None
            if at[0] == 13:
                if at[1] != 10:
                    return None
                break
            if count == self.max_fields:
                return None
            mark = at
            name = &self.names[self.names[slot].next]
            size = name.size
            if size and end - at > size and at[size] == 58 and not memcmp(at, name.data, size):
                slot = self.names[slot].next
                at += size
            else:
                hashed = self.seed
                while at < end and CLASSES[at[0]] & TOKEN:
                    hashed = (hashed ^ at[0]) * 16777619
                    at += 1
                size = at - mark
                if at >= end or at[0] != 58 or size == 0 or size > MAX_NAME_SIZE:
                    return None
                found = self.find_name(mark, size, hashed)
                if found < 0:
                    return None
                self.names[slot].next = slot = found
                name = &self.names[slot]
            if self.names[name.first].seen_in == serial:
                return None
            self.names[name.first].seen_in = serial
            at += 1
            while at < end and (at[0] == 32 or at[0] == 9):
                at += 1
            mark = at
            size = name.value_size
            spans[count].known = (
                size > 0 and end - at > size + 1
                and at[size] == 13 and at[size + 1] == 10 and not memcmp(at, name.value, size)
            )
            if spans[count].known:
                at += size
            else:
                at = skip_content(at, end, CLASSES)
                if end - at < 2 or at[0] != 13 or at[1] != 10:
                    return None
                size = at - mark
                while size and (mark[size - 1] == 32 or mark[size - 1] == 9):
                    size -= 1
            kind = name.kind
            if kind != PLAIN:
                if kind == HOST:
                    host = count
                elif kind == CONTENT_LENGTH:
                    length = count
                elif kind == CONNECTION:
                    connection = count
                elif kind == SCHEME:
                    if trusted:
                        if scheme >= 0:
                            return None
                        scheme = count
                else:
                    return None
            spans[count].start = mark
            spans[count].size = size
            spans[count].slot = slot
            count += 1
            at += 2
        if at - base > self.surely_within:
            return None
        if host < 0 and minor == 1:
            return None

        # What the fields mean for the message and the connection
        cdef Py_ssize_t content_length = 0
        cdef bint keep_alive = minor == 1
        if length >= 0:
            if spans[length].size < 1 or spans[length].size > 18:
                return None
            for index in range(spans[length].size):
                if not 48 <= spans[length].start[index] <= 57:
                    return None
                content_length = content_length * 10 + (spans[length].start[index] - 48)
            if self.limits_body:
                return None
        if connection >= 0:
            size = spans[connection].size
            mark = spans[connection].start
            if size == 10 and same_letters(mark, b"keep-alive", 10):
                keep_alive = True
            elif size == 5 and same_letters(mark, b"close", 5):
                keep_alive = False
            else:
                return None
        cdef str value
        if host >= 0:
            value = self.value_of(&spans[host])
            if value not in self.hosts:
                return None
        cdef object secure = None
        if scheme >= 0:
            secure = self.schemes[self.variables[spans[scheme].slot]]

        # The meta-variables
        cdef str uri = SLASH if target_size == 1 else text(target, target_size)
        cdef str verb
        if method_size == 3 and memcmp(method, b"GET", 3) == 0:
            verb = GET
        elif method_size == 4 and memcmp(method, b"POST", 4) == 0:
            verb = POST
        else:
            verb = text(method, method_size)
        for index in range(count):
            value = self.value_of(&spans[index])
            PyDict_SetItem(
                variables, <object>PyList_GET_ITEM(self.variables, spans[index].slot), value
            )
            if index == scheme:
                PyDict_SetItem(variables, URL_SCHEME, HTTPS if value == secure else HTTP)
        PyDict_SetItem(variables, REQUEST_METHOD, verb)
        PyDict_SetItem(variables, RAW_URI, uri)
        if query == NULL:
            PyDict_SetItem(variables, QUERY_STRING, EMPTY)
        else:
            PyDict_SetItem(variables, QUERY_STRING, text(query, target + target_size - query))
        if encoded:
            PyDict_SetItem(variables, PATH_INFO, decoded(target, path_size))
        elif path_size == target_size:
            PyDict_SetItem(variables, PATH_INFO, uri)
        else:
            PyDict_SetItem(variables, PATH_INFO, text(target, path_size))
        PyDict_SetItem(variables, SERVER_PROTOCOL, HTTP_1_1 if minor else HTTP_1_0)
        if self.script_name:
            careful.split_script_name(variables, self.script_name)

        cdef Request request = Request.__new__(Request)
        request.method = verb
        request.uri = uri
        request.variables = variables
        request.block_start = block - base
        request.head_end = at + 2 - base
        request.content_length = content_length
        request.keep_alive = keep_alive
        request.version = VERSION_1_1 if minor else VERSION_1_0
        return request

    cdef str value_of(self, const Span *span):
        """The value of a field: the last one of that name once more, if it is the same."""
        cdef str value
        if span.known:
            return <str>PyList_GET_ITEM(self.values, span.slot)
        value = text(span.start, span.size)
        if span.size <= MAX_MEMO and PyUnicode_IS_COMPACT_ASCII(value):
            self.names[span.slot].value_size = 0
            self.values[span.slot] = value
            self.names[span.slot].value = <const char *>PyUnicode_DATA(value)
            self.names[span.slot].value_size = span.size
        return value

    cdef int find_name(self, const unsigned char *start, Py_ssize_t size, unsigned int hashed):
        """The slot of a field name, which is learnt if there is room; -1 for a rare one."""
        cdef int slot = hashed & (NAME_SLOTS - 1)
        cdef int tries = 0
        cdef Name *name = &self.names[slot]
        while name.size:
            if name.hash == hashed and name.size == size and not memcmp(name.data, start, size):
                return slot
            tries += 1
            if tries == MAX_TRIES:
                return -1
            slot = (slot + 1) & (NAME_SLOTS - 1)
            name = &self.names[slot]
        if self.known == MAX_NAMES or memchr(start, 95, size) != NULL:
            return -1
        return self.learn_name(slot, start, size, hashed)

    cdef int learn_name(
        self, int slot, const unsigned char *start, Py_ssize_t size, unsigned int hashed
    ):
        """Keep a field name in the free `slot`, which is returned; -1 when that must not be."""
        cdef Name *name = &self.names[slot]
        cdef unsigned int serial = self.serial
        variable = sys.intern(careful.meta_variable(text(start, size)))
        if self.serial != serial:
            # Python ran just now, and with it whatever it found due, which read another head.
            return -1
        kind = KINDS.get(variable, PLAIN)
        if variable in self.schemes:
            if kind != PLAIN:
                return -1
            kind = SCHEME
        name.first = self.first_slots.setdefault(variable, slot)
        name.kind = kind
        self.variables[slot] = variable
        memcpy(name.data, start, size)
        name.hash = hashed
        # From here on the slot is taken.
        name.size = <int>size
        self.known += 1
        return slot


cdef inline bint same_letters(const unsigned char *text, const char *lower, int size):
    cdef int index
    for index in range(size):
        if (text[index] | 32) != lower[index] and text[index] != lower[index]:
            return False
    return True


cdef str decoded(const unsigned char *path, Py_ssize_t size):
    """The path with its percent-encoding undone, as latin-1."""
    cdef bytes buffer = PyBytes_FromStringAndSize(NULL, size)
    cdef unsigned char *out = <unsigned char *>PyBytes_AS_STRING(buffer)
    cdef Py_ssize_t at = 0, length = 0
    cdef int high, low
    while at < size:
        if path[at] == 37 and at + 2 < size:
            high, low = hexadecimal(path[at + 1]), hexadecimal(path[at + 2])
            if high >= 0 and low >= 0:
                out[length] = high * 16 + low
                length += 1
                at += 3
                continue
        out[length] = path[at]
        length += 1
        at += 1
    return text(out, length)


cdef inline int hexadecimal(unsigned char digit):
    if 48 <= digit <= 57:
        return digit - 48
    if 97 <= (digit | 32) <= 102:
        return (digit | 32) - 87
    return -1


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
        keep_alive = keep_alive and not fields.close
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
