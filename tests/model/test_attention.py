import math

import pytest
import torch
from torch import Tensor

from evaladapt.model.attention import attend, own_document


def naive_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    rows, heads, length, width = q.shape
    out = torch.zeros_like(q)
    for row in range(rows):
        for head in range(heads):
            group = head // (heads // k.shape[1])
            for position in range(length):
                scores = k[row, group, : position + 1] @ q[row, head, position] / math.sqrt(width)
                out[row, head, position] = torch.softmax(scores, dim=0) @ v[row, group, : position + 1]
    return out


@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (4, 2), (6, 1)])
def test_attention_equals_the_definition(heads: int, groups: int) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, n, 7, 8) for n in (heads, groups, groups))
    assert torch.allclose(attend(q, k, v), naive_attention(q, k, v), atol=1e-5)


def test_gradients_equal_the_definition() -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(1, n, 6, 4, requires_grad=True) for n in (4, 2, 2)]
    ours = torch.autograd.grad(attend(*inputs).square().sum(), inputs)
    theirs = torch.autograd.grad(naive_attention(*inputs).square().sum(), inputs)
    for mine, reference in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, reference, atol=1e-4)


def test_a_document_reads_itself_and_nothing_before_it() -> None:
    tokens = torch.tensor([[7, 1, 5, 6, 1, 1, 9], [1, 2, 3, 4, 5, 6, 8]])
    documents = [[0, 1, 1, 1, 2, 3, 3], [1] * 7]
    expected = [[[own[s] == own[t] and t <= s for t in range(7)] for s in range(7)] for own in documents]
    assert own_document(tokens, bos_id=1).squeeze(1).tolist() == expected
