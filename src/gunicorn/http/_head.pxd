# What the compiled request head offers to other compiled modules.

cdef enum:
    NAME_SLOTS = 2048       # a power of two, at most half of them used
    MAX_NAME_SIZE = 64

cdef class Request:
    cdef public str method
    cdef public str uri
    cdef public dict variables
    cdef bytes data
    cdef Py_ssize_t block_start
    cdef public Py_ssize_t head_end
    cdef public object body
    cdef public Py_ssize_t content_length
    cdef public bint chunked
    cdef public bint keep_alive
    cdef public bint expect_continue
    cdef public tuple version
    cdef public object peer_addr
    cdef public list head_fields
    cdef public bint must_close


cdef struct Span:
    const unsigned char *start
    Py_ssize_t size
    int number
    bint known      # it is the last value of this name once more


cdef struct Name:
    # A field name that has been seen, as it was spelt. `first` is the number of the first spelling
    # that has the same variable: a field is repeated when its `first` comes up twice. `next` is
    # the number of the name that came after it last time. `value` belongs to the string that the
    # parser keeps for this name; `value_size` is 0 where there is none.
    unsigned int hash
    int size
    int kind
    int first
    int next
    unsigned int seen_in
    const char *value
    Py_ssize_t value_size
    char data[MAX_NAME_SIZE]


cdef class HeadParser:
    cdef Name *names                # in the order in which they came; 0 is before the first of a head
    cdef unsigned short slots[NAME_SLOTS]   # numbers of names by hash; 0 is free
    cdef list variables
    cdef list values
    cdef dict firsts
    cdef int known
    cdef int turned_away
    cdef unsigned int serial
    cdef unsigned int seed
    cdef object python
    cdef object hosts
    cdef dict schemes
    cdef str script_name
    cdef Py_ssize_t surely_within
    cdef Py_ssize_t max_fields
    cdef bint limits_body
    cdef readonly object policy

    cdef Request recognise(
        self, const unsigned char *base, Py_ssize_t available, dict variables, bint trusted
    )
    cdef str value_of(self, const Span *span)
    cdef void forget_names(self)
    cdef int find_name(self, const unsigned char *start, Py_ssize_t size, unsigned int hashed)
    cdef int learn_name(
        self, int slot, const unsigned char *start, Py_ssize_t size, unsigned int hashed
    )
