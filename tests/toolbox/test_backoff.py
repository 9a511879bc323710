"""The back-off blend against the recursion written out densely."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.errors import UsageError
from evaladapt.toolbox.backoff import Strength, backoff_of_targets, dirichlet_backoff
from evaladapt.toolbox.continuations import Continuations
from evaladapt.toolbox.counts import NgramCounts
from evaladapt.toolbox.recency import Nearby, merged

VOCABULARY = 7


def random_probs(contexts: int, seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.softmax(2.0 * torch.randn(contexts, VOCABULARY, generator=rng), -1)


def written_out(probs: torch.Tensor, orders: list[Continuations], strengths: list[Strength]) -> torch.Tensor:
    blended = probs.double().numpy()
    for found, strength in zip(orders, strengths, strict=True):
        counts = np.zeros_like(blended)
        for row, token, count in zip(found.rows, found.tokens, found.counts, strict=True):
            counts[row, token] += count
        weight = np.broadcast_to(np.asarray(strength), (len(blended),))[:, None]
        blended = (counts + weight * blended) / (counts.sum(-1, keepdims=True) + weight)
    return torch.from_numpy(blended)


@settings(max_examples=30, deadline=None)
@given(
    text=st.lists(st.integers(0, VOCABULARY - 1), min_size=12, max_size=80),
    max_order=st.integers(2, 5),
    seed=st.integers(0, 1000),
    strength=st.floats(0.05, 30.0),
)
def test_the_blend_is_the_recursion_and_sums_to_one(
    text: list[int], max_order: int, seed: int, strength: float
) -> None:
    tokens = np.array(text)
    frontier = len(text) // 2
    counts = NgramCounts(max_order)
    counts.add(tokens[:frontier], tokens[:0])
    targets = np.arange(frontier, len(text))
    padded = np.concatenate([np.full(len(text), -1), tokens])
    preceding = np.stack([padded[target : target + len(text)] for target in targets])
    since = Nearby(reach=1, weight=0, max_order=max_order).continuations(tokens, targets, frontier)
    orders = [merged(table, new) for table, new in zip(counts.lookup(preceding), since, strict=True)]
    per_context = np.random.default_rng(seed).uniform(0.1, 9.0, size=len(targets))
    strengths: list[Strength] = [strength, *[per_context] * (max_order - 2)]
    probs = random_probs(len(targets), seed)
    before = probs.clone()
    blended = dirichlet_backoff(probs.log(), orders, strengths).exp()
    assert blended.dtype == torch.float32
    torch.testing.assert_close(blended.double(), written_out(probs, orders, strengths), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(blended.sum(-1), torch.ones(len(targets)), atol=1e-6, rtol=0.0)
    rows = np.arange(len(targets))
    factors = np.array([[1.0], [4.0]])
    of_targets = backoff_of_targets(
        probs.double().numpy()[rows, tokens[targets]], orders, [factors * one for one in strengths], tokens[targets]
    )
    for factor, found in zip(factors[:, 0], of_targets, strict=True):
        whole = written_out(probs, orders, [factor * np.asarray(one) for one in strengths]).numpy()
        np.testing.assert_allclose(found, whole[rows, tokens[targets]], rtol=1e-9)
    assert torch.equal(probs, before)


def test_unseen_contexts_leave_the_model_alone() -> None:
    probs = random_probs(3, 0).log()
    assert torch.equal(dirichlet_backoff(probs, [Continuations.none(3)] * 2, [1.0, 2.0]), probs)


def test_a_repeated_phrase_is_predicted() -> None:
    phrase = np.array([1, 2, 3, 4, 5])
    counts = NgramCounts(4)
    counts.add(np.tile(phrase, 20), phrase[:0])
    blended = dirichlet_backoff(random_probs(1, 1).log(), counts.lookup(np.array([[1, 2, 3]])), [1.0, 1.0, 1.0])
    assert blended[0, 4].exp() > 0.99


def test_what_does_not_fit_is_refused() -> None:
    probs = random_probs(2, 0)
    with pytest.raises(UsageError, match="strengths"):
        dirichlet_backoff(probs, [Continuations.none(2)], [])
    with pytest.raises(UsageError, match="contexts"):
        dirichlet_backoff(probs, [Continuations.none(3)], [1.0])
    with pytest.raises(UsageError, match="positive"):
        dirichlet_backoff(probs, [Continuations.none(2)], [0.0])
