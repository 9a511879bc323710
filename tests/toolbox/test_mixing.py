"""Mixtures and tilts against probabilities written out, and their bounds."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from evaladapt.errors import ContractViolation, UsageError
from evaladapt.toolbox.mixing import (
    FixedShare,
    check_normalised,
    fixed_share,
    fixed_share_update,
    linear_mix,
    mix_experts,
    normalisation_error,
    normalise,
    switching_bound,
    tilt,
    uniform_log_weights,
)


def distributions(*shape: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.log_softmax(3.0 * torch.randn(*shape, generator=rng), -1)


def test_normalise_and_check() -> None:
    scores = 5.0 * torch.randn(4, 3, 20, generator=torch.Generator().manual_seed(1))
    check_normalised(normalise(scores))
    with pytest.raises(ContractViolation, match="12 of 12") as caught:
        check_normalised(scores)
    assert caught.value.clause == "C2"
    assert normalisation_error(normalise(scores)).max() < 1e-6


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 0.01])
def test_one_bad_distribution_is_found(wrong: float) -> None:
    logprobs = distributions(3, 5)
    logprobs[1, 2] += wrong
    with pytest.raises(ContractViolation, match="1 of 3"):
        check_normalised(logprobs)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_linear_mix_is_the_mixture(weight: float) -> None:
    log_p, log_q = distributions(4, 9, seed=1), distributions(4, 9, seed=2)
    expected = (1.0 - weight) * log_p.exp() + weight * log_q.exp()
    torch.testing.assert_close(linear_mix(log_p, log_q, weight).exp(), expected)
    per_position = torch.full((4, 1), weight)
    torch.testing.assert_close(linear_mix(log_p, log_q, per_position).exp(), expected)


@settings(max_examples=40, deadline=None)
@given(beta=st.floats(-20.0, 20.0), hint=st.integers(-1, 8), seed=st.integers(0, 1000))
def test_tilt_is_the_renormalised_product(beta: float, hint: int, seed: int) -> None:
    logprobs = normalise(distributions(2, 9, seed=seed).double())
    tilted = tilt(logprobs, torch.tensor([hint, -1]), beta)
    expected = logprobs.clone()
    if hint >= 0:
        expected[0, hint] += beta
    torch.testing.assert_close(tilted, normalise(expected), atol=1e-9, rtol=1e-9)
    assert torch.equal(tilted[1], logprobs[1])


def test_tilt_takes_a_strength_per_position() -> None:
    logprobs = distributions(3, 5)
    tilted = tilt(logprobs, torch.tensor([0, 1, -1]), torch.tensor([0.0, 2.0, 5.0]))
    assert torch.equal(tilted[0], logprobs[0])
    assert tilted[1, 1] > logprobs[1, 1]
    assert torch.equal(tilted[2], logprobs[2])
    check_normalised(tilted)


def test_mix_experts_is_the_weighted_sum() -> None:
    experts = distributions(6, 3, 11)
    weights = torch.softmax(torch.randn(6, 3, generator=torch.Generator().manual_seed(3)), -1)
    mixed = mix_experts(weights.log(), experts.unbind(-2))
    torch.testing.assert_close(mixed.exp(), (weights[..., None] * experts.exp()).sum(-2))
    check_normalised(mixed)


def slow_weights(realised: list[list[float]], share: float) -> list[list[float]]:
    """Fixed share in plain probabilities; one more row than targets."""
    experts = len(realised[0])
    weights = [[1.0 / experts] * experts]
    for charges in realised:
        likely = [weight * math.exp(charge) for weight, charge in zip(weights[-1], charges, strict=True)]
        weights.append([(1.0 - share) * one / sum(likely) + share / experts for one in likely])
    return weights


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    targets=st.integers(0, 30),
    experts=st.integers(1, 4),
    share=st.sampled_from([0.0, 0.01, 0.3]),
)
def test_fixed_share_is_the_plain_recursion(seed: int, targets: int, experts: int, share: float) -> None:
    realised = -torch.rand(targets, experts, generator=torch.Generator().manual_seed(seed)) * 6.0
    block = fixed_share(uniform_log_weights(experts), realised, share)
    expected = torch.tensor(slow_weights(realised.tolist(), share) if targets else [[1.0 / experts] * experts])
    both = torch.cat([block.at_targets, block.after[None]]).exp()
    torch.testing.assert_close(both, expected.double(), atol=1e-6, rtol=1e-5)


def test_a_block_and_single_steps_agree() -> None:
    realised = distributions(20, 3)
    weights = uniform_log_weights(3)
    block = fixed_share(weights, realised, 0.05)
    for target, charges in enumerate(realised):
        assert torch.equal(block.at_targets[target], weights)
        torch.testing.assert_close(FixedShare(0.05)(weights, charges), fixed_share_update(weights, charges, 0.05))
        weights = FixedShare(0.05)(weights, charges)
    assert torch.equal(block.after, weights)


def mixture_loss(realised: Tensor, share: float) -> float:
    weights = fixed_share(uniform_log_weights(realised.shape[1]), realised, share).at_targets
    return -float(torch.logsumexp(weights + realised, -1).sum())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), experts=st.integers(1, 4), targets=st.integers(1, 60))
def test_the_mixture_loses_at_most_ln_k_against_the_best_expert(seed: int, experts: int, targets: int) -> None:
    realised = -8.0 * torch.rand(targets, experts, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    best = float((-realised.sum(0)).min())
    assert mixture_loss(realised, 0.0) <= best + math.log(experts) + 1e-9


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    experts=st.integers(2, 3),
    targets=st.integers(2, 6),
    share=st.sampled_from([0.02, 0.2]),
)
def test_the_switching_bound_holds_for_every_sequence_of_experts(
    seed: int, experts: int, targets: int, share: float
) -> None:
    realised = -8.0 * torch.rand(targets, experts, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    loss = mixture_loss(realised, share)
    for path in itertools.product(range(experts), repeat=targets):
        switches = sum(a != b for a, b in itertools.pairwise(path))
        reference = -float(realised[torch.arange(targets), torch.tensor(path)].sum())
        assert loss <= reference + switching_bound(experts, targets, switches, share) + 1e-9


def test_the_share_lets_the_mixture_follow_a_change() -> None:
    good, bad = math.log(0.9), math.log(0.01)
    realised = torch.tensor([[good, bad]] * 200 + [[bad, good]] * 200)
    assert mixture_loss(realised, 0.01) < mixture_loss(realised, 0.0) - 100.0


def test_an_expert_that_ruled_something_out_is_dropped_not_spread() -> None:
    weights = fixed_share_update(uniform_log_weights(2), torch.tensor([-math.inf, -1.0]), 0.0)
    torch.testing.assert_close(weights.exp(), torch.tensor([0.0, 1.0], dtype=torch.float64))


def test_an_impossible_share_is_refused() -> None:
    with pytest.raises(UsageError, match="share"):
        fixed_share(uniform_log_weights(2), torch.zeros(1, 2), 1.0)
    assert switching_bound(2, 10, 3, 0.0) == math.inf
