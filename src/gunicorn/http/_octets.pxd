# The octets of a request head: what each may be part of, and text made of them.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint64_t  # noqa: F401 - for the C below
from libc.string cimport memcpy  # noqa: F401 - the same

# Classes of bytes: RFC 9110, 5.6.2 (token) and 5.5 (field content); request targets as
# gunicorn.http.head takes them.
cdef enum:
    TOKEN = 1
    CONTENT = 2
    PATH = 4
    QUERY = 8
    METHOD = 16


cdef inline void classify(unsigned char *classes) noexcept:
    """Fill a table of what each of the 256 octets may be part of."""
    cdef int byte
    for byte in range(256):
        classes[byte] = 0
        if byte == 9 or (byte >= 32 and byte != 127):
            classes[byte] |= CONTENT
        if 33 <= byte <= 126 or byte >= 128:
            if byte != 35:  # "#"
                classes[byte] |= QUERY
                if byte != 63:  # "?"
                    classes[byte] |= PATH
    for byte in b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ":
        classes[byte] |= TOKEN
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        classes[byte] |= METHOD


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


cdef inline bint same_letters(const unsigned char *text, const char *lower, int size) noexcept:
    cdef int index
    for index in range(size):
        if (text[index] | 32) != lower[index] and text[index] != lower[index]:
            return False
    return True


cdef inline int hexadecimal(unsigned char digit) noexcept:
    if 48 <= digit <= 57:
        return digit - 48
    if 97 <= (digit | 32) <= 102:
        return (digit | 32) - 87
    return -1


cdef inline str decoded(const unsigned char *path, Py_ssize_t size):
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
