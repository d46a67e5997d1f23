# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The conventional road of `gunicorn.http.head`, compiled.

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

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_SetItem
from cpython.list cimport PyList_GET_ITEM
from cpython.set cimport PySet_Contains
from cpython.unicode cimport PyUnicode_DATA
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy, memset

from gunicorn.http._octets cimport (
    METHOD, PATH, QUERY, TOKEN, classify, decoded, same_letters, skip_content, text
)

from gunicorn.http import careful
from gunicorn.http import request as request_module
from gunicorn.http._chunks import take_chunks
from gunicorn.http.head import HeadParser as PythonHeadParser

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)


cdef enum:
    MAX_NAMES = 1024        # that are remembered
    PATIENCE = 2048         # names that are not, before the others are forgotten
    MAX_FIELDS = 128        # heads with more of them take the other road
    MAX_TRIES = 32          # slots that are looked at for a name
    MAX_MEMO = 256          # bytes of a value that is worth remembering

cdef enum Kind:
    PLAIN, HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, EXPECT, SCHEME

cdef unsigned char CLASSES[256]
classify(CLASSES)

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
cdef tuple VERSION_1_1 = request_module.VERSION_1_1
cdef tuple VERSION_1_0 = (1, 0)
cdef dict KINDS = {
    "HTTP_HOST": HOST,
    "CONTENT_LENGTH": CONTENT_LENGTH,
    "HTTP_TRANSFER_ENCODING": TRANSFER_ENCODING,
    "HTTP_CONNECTION": CONNECTION,
    "HTTP_EXPECT": EXPECT,
}


cdef class Request:
    """The same as `gunicorn.http.request.Request`, with its attributes in a C structure."""

    fragment = ""

    @property
    def field_block(self):
        return self.data[self.block_start : self.head_end - 2].decode("latin-1")

    def keep_head_only(self):
        self.data = self.data[: self.head_end]

    path = request_module.Request.path
    query = request_module.Request.query
    headers = request_module.Request.headers
    trailers = request_module.Request.trailers
    scheme = request_module.Request.scheme
    remote_addr = request_module.Request.remote_addr
    should_close = request_module.Request.should_close


cdef class HeadParser:
    """`gunicorn.http.head.HeadParser` with a fast road of its own."""

    take_chunks = staticmethod(take_chunks)

    def __cinit__(self):
        # Pages of it become memory as names come.
        self.names = <Name *>calloc(MAX_NAMES + 1, sizeof(Name))
        if self.names == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.names)

    def __init__(self, policy):
        self.policy = policy
        self.python = PythonHeadParser(policy)
        self.surely_within = self.python.surely_within
        self.max_fields = min(self.python.max_fields, MAX_FIELDS)
        self.script_name = self.python.script_name
        self.schemes = self.python.scheme_fields
        self.hosts = self.python.hosts
        self.limits_body = policy.limit_request_body > 0
        self.variables = [None] * (MAX_NAMES + 1)
        self.values = [""] * (MAX_NAMES + 1)
        self.firsts = {}
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
        cdef int number = 0     # its `next` is the name that mostly comes first
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
        if self.turned_away >= PATIENCE:
            self.forget_names()
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
            name = &self.names[self.names[number].next]
            size = name.size
            if size and end - at > size and at[size] == 58 and not memcmp(at, name.data, size):
                number = self.names[number].next
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
                self.names[number].next = number = found
                name = &self.names[number]
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
            spans[count].number = number
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
            if not PySet_Contains(self.hosts, value):
                return None
        cdef object secure = None
        if scheme >= 0:
            secure = self.schemes[self.variables[spans[scheme].number]]

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
                variables, <object>PyList_GET_ITEM(self.variables, spans[index].number), value
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
            return <str>PyList_GET_ITEM(self.values, span.number)
        value = text(span.start, span.size)
        if span.size <= MAX_MEMO and PyUnicode_IS_COMPACT_ASCII(value):
            self.names[span.number].value_size = 0
            self.values[span.number] = value
            self.names[span.number].value = <const char *>PyUnicode_DATA(value)
            self.names[span.number].value_size = span.size
        return value

    cdef int find_name(self, const unsigned char *start, Py_ssize_t size, unsigned int hashed):
        """The number of a field name, which is learnt if there is room; -1 for a rare one."""
        cdef int slot = hashed & (NAME_SLOTS - 1)
        cdef int tries = 0
        cdef Name *name
        while self.slots[slot]:
            name = &self.names[self.slots[slot]]
            if name.hash == hashed and name.size == size and not memcmp(name.data, start, size):
                return self.slots[slot]
            tries += 1
            if tries == MAX_TRIES:
                return -1
            slot = (slot + 1) & (NAME_SLOTS - 1)
        if memchr(start, 95, size) != NULL:
            return -1
        if self.known == MAX_NAMES:
            self.turned_away += 1
            return -1
        return self.learn_name(slot, start, size, hashed)

    cdef void forget_names(self):
        """Begin anew, before a head is read: its spans have the numbers of names.

        Who reads another head meanwhile notices by the `serial`, as when a name is learnt.
        """
        self.known = self.turned_away = 0
        memset(self.slots, 0, sizeof(self.slots))
        memset(self.names, 0, (MAX_NAMES + 1) * sizeof(Name))
        self.firsts.clear()

    cdef int learn_name(
        self, int slot, const unsigned char *start, Py_ssize_t size, unsigned int hashed
    ):
        """Number a field name, to be found in the free `slot`; -1 when that must not be."""
        cdef Name *name
        cdef int number
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
        number = self.known + 1
        name = &self.names[number]
        name.first = self.firsts.setdefault(variable, number)
        name.kind = kind
        self.variables[number] = variable
        memcpy(name.data, start, size)
        name.hash = hashed
        name.size = <int>size
        self.slots[slot] = <unsigned short>number
        self.known = number
        return number
