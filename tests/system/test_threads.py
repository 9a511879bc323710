import os
import subprocess
import sys

import pytest
import torch

from evaladapt.errors import UsageError
from evaladapt.system.threads import threads, use_threads
from tests.processes import ROOT

PRODUCTS = """
import hashlib, sys
import torch
from evaladapt.system.threads import use_threads
count = use_threads(int(sys.argv[1]) if len(sys.argv) > 1 else None)
torch.manual_seed(0)
found = hashlib.sha256()
for rows, inner, columns in [(512, 256, 1024), (3, 512, 37), (1, 256, 1024), (300, 257, 33)]:
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    found.update((left @ right).numpy().tobytes())
print(count, found.hexdigest())
"""


def products(arguments, **environment):
    """Number of threads and a digest of some products, in a process of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_"))}
    done = subprocess.run(
        [sys.executable, "-c", PRODUCTS, *arguments],
        env={**clean, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


def test_what_was_set_gives_the_same_sums_in_every_environment():
    count, digest = products([])
    assert products([count], OMP_NUM_THREADS="1") == [count, digest]
    one = products([], OMP_NUM_THREADS="1")
    assert one[0] == "1"
    assert products(["1"]) == one


def test_without_a_number_it_is_what_torch_finds_right():
    before = torch.get_num_threads()
    assert use_threads() == use_threads(None) == torch.get_num_threads() == before


@pytest.mark.parametrize("count", [0, -1, 10**6, True, 1.0])
def test_impossible_numbers_are_refused(count):
    with pytest.raises(UsageError, match="threads cannot be had"):
        use_threads(count)


def test_a_block_leaves_the_number_as_it_was():
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_environments_that_take_fewer_are_refused(monkeypatch):
    monkeypatch.setenv("OMP_THREAD_LIMIT", "1")
    with pytest.raises(UsageError, match="OMP_NUM_THREADS=1"):
        use_threads(2)
    assert use_threads(1) == 1
    monkeypatch.delenv("OMP_THREAD_LIMIT")
    monkeypatch.setenv("OMP_DYNAMIC", "TRUE")
    with pytest.raises(UsageError, match="OMP_DYNAMIC"):
        use_threads(2)
