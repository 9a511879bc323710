"""Memory that two processes share, and the forks of one of them do not."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile

MADV_DONTFORK = 10
FAILED = ctypes.c_void_p(-1).value


def new_segment(name: str, size: int) -> int:
    """A descriptor of memory that is in no folder."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create(name)
    else:
        with tempfile.TemporaryFile(prefix=name) as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


def shared_with_nobody_else(descriptor: int) -> memoryview:
    """Map a segment for as long as the process lives, keep it out of forks, and close the descriptor.

    By the C library, because Python's own ``mmap`` keeps a copy of the descriptor open.
    """
    size = os.fstat(descriptor).st_size
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_size_t)
    address = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, descriptor, 0)
    if address == FAILED:
        raise OSError(ctypes.get_errno(), "the memory for answers cannot be mapped")
    if sys.platform == "linux":
        libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), MADV_DONTFORK)
    os.close(descriptor)
    return memoryview((ctypes.c_char * size).from_address(address)).cast("B")
