import ctypes
import os
from pathlib import Path

import pytest

from evaladapt.system.memory import FreedMemory

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not GNU's C library")
PIECES, BYTES = 10_000, 10_000


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_what_was_freed_between_what_is_held_goes_back():
    pieces = [bytearray(BYTES) for _ in range(PIECES)]
    held = pieces[::100]
    del pieces
    before = resident()
    FreedMemory().give_back()
    assert before - resident() > PIECES * BYTES / 2
    assert len(held) == PIECES / 100
