"""Newton-Schulz by Gram matrices is the iteration itself."""

import pytest
import torch

from evaladapt.toolbox import orthogonal
from evaladapt.toolbox.orthogonal import orthogonalise


def iterated(matrices, monkeypatch):
    monkeypatch.setattr(orthogonal, "WIDE", 10**9)
    return orthogonalise(matrices)


@pytest.mark.parametrize("shape", [(1, 8, 16), (3, 40, 7), (2, 64, 8), (1, 1, 9)])
@pytest.mark.parametrize("rank", [1, 5, 64])
def test_wide_matrices_by_their_gram_matrices_are_what_the_iteration_gives(shape, rank, monkeypatch):
    generator = torch.Generator().manual_seed(rank)
    count, rows, columns = shape
    left, right = (torch.randn(count, size, rank, generator=generator) for size in (rows, columns))
    matrices = left @ right.mT
    found = orthogonalise(matrices)
    assert torch.allclose(found, iterated(matrices, monkeypatch), atol=2e-5)
    assert torch.linalg.svdvals(found)[:, : min(rank, rows, columns)].max() < 1.3


def test_a_zero_matrix_stays_zero():
    assert torch.equal(orthogonalise(torch.zeros(2, 3, 9)), torch.zeros(2, 3, 9))
