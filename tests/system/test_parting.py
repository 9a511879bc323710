"""A fork's memory, made its own from outside; the kernel says whose its pages are."""

import json
import mmap
import os
import subprocess
import sys

import numpy as np
import pytest

from evaladapt.system import parting
from tests.processes import ROOT

PROGRAM = """
import ctypes, json, mmap, os, signal
import numpy as np
from evaladapt.system.children import end_with_parent
from evaladapt.system.parting import PAGE, PRESENT, part

COUNT, OWN = 300, 1 << 56
memory = mmap.mmap(-1, COUNT * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
pages = np.frombuffer(memory, dtype=np.uint8).reshape(COUNT, PAGE)
pages[:] = np.arange(COUNT)[:, None] % 251
ctypes.CDLL(None).mprotect(ctypes.c_void_p(pages.ctypes.data + 100 * PAGE), ctypes.c_size_t(100 * PAGE), 1)
here, twin = os.getpid(), os.fork()
if twin == 0:
    end_with_parent(here)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0 if (pages == np.arange(COUNT)[:, None] % 251).all() else 1)
os.waitpid(twin, os.WUNTRACED)

def own():
    with open(f"/proc/{twin}/pagemap", "rb", buffering=0) as file:
        found = np.frombuffer(os.pread(file.fileno(), 8 * COUNT, 8 * (pages.ctypes.data // PAGE)), dtype=np.uint64)
    assert (found & np.uint64(PRESENT)).all()
    return int(((found & np.uint64(OWN)) != 0).sum())

before, count, after = own(), part(twin), own()
pages[:100] = 255
os.kill(twin, signal.SIGCONT)
print(json.dumps([before, count, after, os.waitstatus_to_exitcode(os.waitpid(twin, 0)[1])]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="pagemap is Linux's")
def test_a_fork_shares_no_page_any_more_and_no_byte_has_changed():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    before, count, after, status = json.loads(done.stdout)
    assert before == 0
    assert count > 300
    assert after == 300
    assert status == 0


@pytest.mark.skipif(sys.platform != "linux", reason="pagemap is Linux's")
def test_without_memory_for_the_copies_it_is_said_and_nothing_is_copied(monkeypatch):
    monkeypatch.setattr(parting, "_available_memory", lambda: 4096)
    monkeypatch.setattr(parting, "_write_all", None)
    with pytest.raises(OSError, match="GB for copies are not there"):
        parting.part(os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="pagemap is Linux's")
def test_more_address_space_than_can_be_looked_through_is_not_left_out_in_silence(monkeypatch):
    monkeypatch.setattr(parting, "MOST_MAPPED", 1 << 20)
    with pytest.raises(OSError, match="more memory is mapped"):
        parting.part(os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="pagemap is Linux's")
def test_a_mapping_is_read_in_pieces(monkeypatch):
    memory = mmap.mmap(-1, 7 * parting.PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages = np.frombuffer(memory, dtype=np.uint8)
    pages[:: parting.PAGE] = 1
    mapping = parting._Mapping(pages.ctypes.data, pages.ctypes.data + len(pages), True)
    monkeypatch.setattr(parting, "ENTRIES_AT_ONCE", 3)
    with open("/proc/self/pagemap", "rb", buffering=0) as file:
        found = parting._pages(file.fileno(), mapping)
    assert found.tolist() == list(range(mapping.start, mapping.stop, parting.PAGE))
