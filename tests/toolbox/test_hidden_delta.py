"""The closed form of a capped head's likelihood against autograd through the head."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from evaladapt.toolbox.hidden_delta import CappedLikelihood


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 6), st.floats(0.5, 40))
def test_value_and_gradient_are_those_of_the_head(seed, rows, positions, cap):
    generator = torch.Generator().manual_seed(seed)
    hidden, delta, weight = (torch.randn(*shape, generator=generator, dtype=torch.float64)
                             for shape in ((rows, positions, 4), (rows, 4), (7, 4)))  # fmt: skip
    targets = torch.randint(-1, 7, (rows, positions), generator=generator)
    targets[targets < 0] = -100
    leaf = delta.clone().requires_grad_()
    logits = cap * torch.tanh((hidden + leaf[:, None]) @ weight.T / cap)
    nats = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="none")
    expected = nats.view(rows, positions).sum(dim=1)
    expected.sum().backward()
    value, gradient = CappedLikelihood.build(hidden, targets, weight, cap).value_and_gradient(delta)
    assert torch.allclose(value, expected.detach(), atol=1e-9)
    assert torch.allclose(gradient, leaf.grad, atol=1e-9)
