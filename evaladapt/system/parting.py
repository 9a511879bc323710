"""Giving a forked process memory of its own, from outside.

After a fork, parent and child share every page until one of them writes to it. Whoever writes first pays for the copy,
so a child can tell by the time that its own write takes which pages its parent wrote to meanwhile: a bit a page, and
there are a hundred thousand. Once every page of the child is its own and was written to, its times say nothing, whether
its parent ran meanwhile or not.

Only Linux tells which pages there are (``/proc/PID/pagemap``); writing to a process of one's own is what a debugger
does, and may be forbidden.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PRESENT, SWAPPED, OF_A_FILE = 1 << 63, 1 << 62, 1 << 61
"""Of an entry of ``pagemap``. A page of a file is copied at a private mapping's first write, whoever has read it."""
PAGE = mmap.PAGESIZE
AT_ONCE = 1024
"""Pieces of memory that one call reaches."""
ENTRIES_AT_ONCE = 1 << 20
MOST_MAPPED = 1 << 40
"""Bytes of address space that are looked through: that takes seconds, and there is no end to what can be mapped."""
KERNELS = "[vvar"
"""What the names of mappings begin with that the kernel alone writes to; a file's name begins with a slash."""
Addresses = NDArray[np.uint64]


@dataclass(frozen=True)
class _Mapping:
    start: int
    stop: int
    writable: bool


class _Pieces(ctypes.Structure):
    """``struct iovec``."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def part(pid: int) -> int:
    """Write to every page that a stopped process may have in common with its parent; returns how many there are.

    No byte changes.

    Raises:
        OSError: the system does not let this process look at that one, or write to it, or has not memory for so many.
    """
    mappings = list(_private_mappings(pid))
    if sum(one.stop - one.start for one in mappings) > MOST_MAPPED:
        raise OSError(errno.EFBIG, "more memory is mapped than can be looked through")
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pages:
        found = [(mapping, _pages(pages.fileno(), mapping)) for mapping in mappings]
    count = sum(len(there) for _, there in found)
    if count * PAGE > _available_memory():
        raise OSError(errno.ENOMEM, f"{count * PAGE / 1e9:.1f} GB for copies are not there")
    for mapping, there in found:
        write = _write_all if mapping.writable else _write_through
        for first in range(0, len(there), AT_ONCE):
            write(pid, there[first : first + AT_ONCE])
    return count


def _available_memory() -> int:
    """Bytes that can be had without swapping."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return 1024 * int(kilobytes)


def _private_mappings(pid: int) -> Iterator[_Mapping]:
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            places, access, *_, name = line.rstrip("\n").split(maxsplit=5)
            start, stop = (int(one, 16) for one in places.split("-"))
            shown_to_all = start >= 1 << 63 or name.startswith(KERNELS)
            if access[3] == "p" and not shown_to_all:
                yield _Mapping(start, stop, access[1] == "w")


def _pages(pagemap: int, mapping: _Mapping) -> Addresses:
    first, stop = mapping.start // PAGE, mapping.stop // PAGE
    pieces = [
        _pages_between(pagemap, at, min(at + ENTRIES_AT_ONCE, stop)) for at in range(first, stop, ENTRIES_AT_ONCE)
    ]
    return np.concatenate(pieces)


def _pages_between(pagemap: int, first: int, stop: int) -> Addresses:
    content = os.pread(pagemap, 8 * (stop - first), 8 * first)
    if len(content) != 8 * (stop - first):
        raise OSError(errno.EIO, "the system does not tell of every page")
    entries = np.frombuffer(content, dtype=np.uint64)
    there = (entries & np.uint64(PRESENT | SWAPPED)).astype(bool) & ~(entries & np.uint64(OF_A_FILE)).astype(bool)
    places: Addresses = np.uint64(PAGE) * (np.uint64(first) + np.flatnonzero(there).astype(np.uint64))
    return places


def _write_all(pid: int, pages: Addresses) -> None:
    """Read a byte of every page and write it back."""
    libc, count = ctypes.CDLL(None, use_errno=True), len(pages)
    content = (ctypes.c_char * count)()
    here = _Pieces(ctypes.addressof(content), count)
    there = (_Pieces * count)()
    np.frombuffer(memoryview(there).cast("B"), dtype=np.uint64).reshape(count, 2)[:] = np.stack(
        [pages, np.ones_like(pages)], axis=1
    )
    for call in (libc.process_vm_readv, libc.process_vm_writev):
        call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)
        call.restype = ctypes.c_ssize_t
        if call(pid, ctypes.byref(here), 1, there, count, 0) != count:
            raise OSError(ctypes.get_errno(), "the pages of a twin cannot be written to")


def _write_through(pid: int, pages: Addresses) -> None:
    """The same where the process itself may not write, until it allows itself to."""
    memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
    try:
        for page in pages.tolist():
            if os.pwrite(memory, os.pread(memory, 1, page), page) != 1:
                raise OSError(errno.EIO, "the pages of a twin cannot be written to")
    finally:
        os.close(memory)
