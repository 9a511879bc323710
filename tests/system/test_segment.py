import faulthandler
import os
import sys

import pytest

from evaladapt.system.children import shared_memory
from evaladapt.system.segment import new_segment, shared_with_nobody_else
from tests.processes import in_child

SIZE = 1 << 16


def test_what_one_writes_the_other_reads():
    descriptor = new_segment("tests-segment", SIZE)
    other = os.dup(descriptor)
    first, second = shared_with_nobody_else(descriptor), shared_with_nobody_else(other)
    first[:5] = b"hello"
    assert bytes(second[:5]) == b"hello"
    assert len(first) == SIZE
    for one in (descriptor, other):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(one)


@pytest.mark.skipif(sys.platform != "linux", reason="by what Linux says of memory")
def test_a_fork_has_nothing_of_it():
    segment = shared_with_nobody_else(new_segment("tests-segment", SIZE))
    segment[:5] = b"hello"
    assert any("tests-segment" in one for one in shared_memory(os.getpid()))

    def look():
        assert not [one for one in shared_memory(os.getpid()) if "tests-segment" in one]

    def touch():
        faulthandler.disable()  # what happens now is meant to
        segment[0]

    assert in_child(look) == 0
    assert os.WIFSIGNALED(in_child(touch))
