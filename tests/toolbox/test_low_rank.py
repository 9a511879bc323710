"""Per-row adapters against a loop over rows, and the AdamW step against torch's."""

from __future__ import annotations

import pytest
import torch

from evaladapt.errors import UsageError
from evaladapt.toolbox.low_rank import (
    AdamWOptions,
    AdamWState,
    Adapter,
    adamw_step,
    adapter_output,
    fresh_adapter,
    reset_rows,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trained_adapter(rows: int = 3) -> Adapter:
    adapter = fresh_adapter(rows, inputs=5, outputs=7, rank=2, generator=generator(1))
    return Adapter(adapter.a, torch.randn(rows, 7, 2, generator=generator(2)))


def test_a_fresh_adapter_adds_nothing_and_is_spread_evenly() -> None:
    adapter = fresh_adapter(4, inputs=64, outputs=7, rank=8, generator=generator())
    inputs = torch.randn(4, 3, 64, generator=generator(1))
    assert torch.equal(adapter_output(adapter, inputs), torch.zeros(4, 3, 7))
    assert adapter.a.abs().max() <= 1 / 8
    assert adapter.a.std() == pytest.approx(1 / 8 / 3**0.5, rel=0.05)


def test_every_row_uses_its_own_adapter() -> None:
    adapter = trained_adapter()
    inputs = torch.randn(3, 4, 5, generator=generator(3))
    outputs = adapter_output(adapter, inputs, scale=0.5)
    for row in range(3):
        expected = 0.5 * inputs[row] @ adapter.a[row].T @ adapter.b[row].T
        torch.testing.assert_close(outputs[row], expected)


def test_gradients_of_a_summed_loss_stay_in_their_rows() -> None:
    adapter = trained_adapter()
    a, b = adapter.a.requires_grad_(), adapter.b.requires_grad_()
    losses = adapter_output(Adapter(a, b), torch.ones(3, 4, 5)).square().mean((1, 2))
    grad_a, grad_b = torch.autograd.grad(losses[1], (a, b))
    assert (grad_a[1] != 0).any()
    assert (grad_b[1] != 0).any()
    assert torch.equal(grad_a[[0, 2]], torch.zeros(2, 2, 5))
    assert torch.equal(grad_b[[0, 2]], torch.zeros(2, 7, 2))


@pytest.mark.parametrize("keep_a", [False, True])
def test_reset_touches_only_the_rows_asked_for(keep_a: bool) -> None:
    old = trained_adapter()
    fresh = fresh_adapter(3, 5, 7, 2, generator(9))
    reset = reset_rows(old, fresh, torch.tensor([False, True, False]), keep_a=keep_a)
    assert torch.equal(reset.a[1], old.a[1] if keep_a else fresh.a[1])
    assert torch.equal(reset.b[1], torch.zeros(7, 2))
    assert torch.equal(reset.a[[0, 2]], old.a[[0, 2]])
    assert torch.equal(reset.b[[0, 2]], old.b[[0, 2]])


@pytest.mark.parametrize(
    "options",
    [
        AdamWOptions(lr=0.01),
        AdamWOptions(lr=1e-3, beta1=0.0, beta2=0.99, epsilon=1e-10, weight_decay=0.5),
    ],
    ids=["default", "lora"],
)
def test_rows_step_like_torch_adamw_each_by_its_own_count(options: AdamWOptions) -> None:
    parameter = torch.randn(3, 4, 2, generator=generator(4), dtype=torch.float64)
    leaves = [row.clone().requires_grad_() for row in parameter]
    optimisers = [
        torch.optim.AdamW(
            [leaf],
            lr=options.lr,
            betas=(options.beta1, options.beta2),
            eps=options.epsilon,
            weight_decay=options.weight_decay,
        )
        for leaf in leaves
    ]
    state = AdamWState.fresh(parameter)
    rng = generator(5)
    for _ in range(12):
        gradient = torch.randn(3, 4, 2, generator=rng, dtype=torch.float64)
        active = torch.rand(3, generator=rng) < 0.6
        before = parameter
        step = adamw_step(parameter, gradient, state, options, active)
        parameter, state = step.parameter, step.state
        for row in range(3):
            if active[row]:
                leaves[row].grad = gradient[row].clone()
                optimisers[row].step()
            else:
                assert torch.equal(parameter[row], before[row])
    torch.testing.assert_close(parameter, torch.stack([leaf.detach() for leaf in leaves]))
    assert state.steps.min() != state.steps.max()


def test_forgotten_rows_step_as_if_new() -> None:
    options = AdamWOptions(lr=0.1)
    parameter = torch.ones(2, 3)
    gradient = torch.randn(2, 3, generator=generator())
    state = adamw_step(parameter, gradient, AdamWState.fresh(parameter), options).state
    forgotten = state.reset_rows(torch.tensor([True, False]))
    again = adamw_step(parameter, -gradient, forgotten, options).parameter
    fresh = adamw_step(parameter, -gradient, AdamWState.fresh(parameter), options).parameter
    assert torch.equal(again[0], fresh[0])
    assert not torch.equal(again[1], fresh[1])


def test_all_rows_take_part_by_default() -> None:
    parameter = torch.ones(2, 3)
    step = adamw_step(parameter, torch.ones(2, 3), AdamWState.fresh(parameter), AdamWOptions(lr=0.1))
    assert step.state.steps.tolist() == [1, 1]
    assert (step.parameter < 1).all()


def test_empty_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="positive"):
        fresh_adapter(1, 5, 7, 0, generator())
