# cython: language_level=3
"""What `gunicorn.libc` offers, without ctypes."""

cdef extern from *:
    """
    #include <stdlib.h>
    #ifdef __GLIBC__
    #include <malloc.h>
    #define TRIMS 1
    #define TRIM(pad) malloc_trim(pad)
    #else
    #define TRIMS 0
    #define TRIM(pad) 0
    #endif
    #ifdef __linux__
    #include <sys/prctl.h>
    #define ADOPT() prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    #else
    #define ADOPT() (-1)
    #endif
    """
    int TRIMS
    int TRIM(size_t pad) nogil
    int ADOPT()

CAN_TRIM = TRIMS != 0


def malloc_trim(size_t pad):
    """Whether memory was given back to the system; `pad` bytes are kept at the heap's end."""
    cdef int released
    with nogil:
        released = TRIM(pad)
    return released != 0


def become_subreaper():
    """See `gunicorn.libc.become_subreaper`."""
    return ADOPT() == 0
