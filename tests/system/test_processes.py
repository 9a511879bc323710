import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.errors import UsageError
from evaladapt.system.processes import own_device, rows_of
from tests.processes import run_together


@given(st.integers(1, 40), st.integers(1, 9))
def test_every_row_has_one_process_and_every_process_a_row(rows, processes):
    shares = [rows_of(rank, processes, rows) for rank in range(processes)]
    assert [row for one in shares if one.own for row in range(one.first, one.stop)] == list(range(rows))
    sizes = [one.stop - one.first for one in shares]
    assert min(sizes) >= 1
    assert max(sizes) <= -(-rows // processes)
    assert shares[0].own
    assert shares[0].first == 0


def test_one_gpu_is_not_shared(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert own_device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(UsageError, match="names one GPU"):
        own_device(torch.device("cuda:0"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert own_device(torch.device("cuda")) == torch.device("cuda:1")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UsageError, match="has 2 GPUs"):
        own_device(torch.device("cuda"))


@pytest.mark.skipif(sys.platform != "linux", reason="names of threads are read from /proc")
@pytest.mark.timeout(240)  # real processes import torch each, side by side
@pytest.mark.parametrize(("how", "said"), [("returns", "\n"), ("raises", "left in the middle\n\n")])
def test_no_thread_of_the_group_outlives_it(how, said):
    """A thread that outlives the interpreter aborts it; the compiler's import used to keep the group alive."""
    ended = run_together(2, ["-m", "tests.system.leaving", how])
    assert [(one.code, one.out) for one in ended] == [(0, said)] * 2, ended
