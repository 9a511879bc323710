import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.toolbox import geometric
from evaladapt.toolbox.mixing import fixed_share_update, switching_bound, uniform_log_weights

STILL = partial(geometric.newton, precision=100.0, fading=1.0)


def experts(count=3, targets=20, vocabulary=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.log_softmax(2 * torch.randn(targets, vocabulary, generator=generator), -1).double() for _ in range(count)
    ]


def test_it_begins_at_the_last_expert_alone():
    entries = experts()
    known = geometric.local(entries, geometric.start(3, 100.0))
    logprobs, normaliser = geometric.mixed(entries, known.exponents)
    assert torch.allclose(logprobs, entries[-1], atol=1e-6)
    assert torch.allclose(normaliser, torch.zeros_like(normaliser), atol=1e-6)


def test_mean_and_covariance_are_the_derivatives_of_the_normaliser():
    entries = experts()
    state = geometric.start(3, 100.0)
    state[:, -1] += 0.3 * torch.randn(len(state), generator=torch.Generator().manual_seed(1))
    known = geometric.local(entries, state)
    at = known.exponents[:1].clone().requires_grad_()

    def normaliser(exponents):
        return torch.logsumexp(torch.einsum("nk,nkv->nv", exponents, torch.stack(entries, 1)[:1]), -1)[0]

    gradient = torch.autograd.functional.jacobian(normaliser, at)[0]
    hessian = torch.autograd.functional.hessian(normaliser, at)[0, :, 0]
    assert torch.allclose(known.mean[0], gradient, atol=1e-6)
    assert torch.allclose(known.covariance[0], hessian, atol=1e-6)


def test_packing_is_undone():
    known = geometric.local(experts(), geometric.start(3, 100.0))
    again = geometric.Local.unpacked(known.packed()[4], 3)
    for name in ("features", "exponents", "mean", "covariance"):
        assert torch.equal(getattr(again, name), getattr(known, name)[4])


def run(entries, targets, state, learn=STILL, block=8):
    """What the mixture charges for every target, and its state at the end; the engine's fold, in plain."""
    charged = []
    for first in range(0, len(targets), block):
        rows = slice(first, first + block)
        known = geometric.local([one[rows] for one in entries], state)
        for number, target in enumerate(targets[rows].tolist()):
            here = [one[rows][number : number + 1] for one in entries]
            at = geometric.exponents(state, known.features[number : number + 1])
            charged.append(float(geometric.mixed(here, at)[0][0, target]))
            state = learn(state, torch.stack([one[0, target] for one in here]), known.packed()[number])
    return charged, state


def drawn(logprobs, seed=2):
    return torch.multinomial(logprobs.exp(), 1, generator=torch.Generator().manual_seed(seed))[:, 0]


@pytest.mark.parametrize("block", [1, 64])
def test_the_exponents_that_made_the_text_are_found(block):
    """The text is drawn from a mixture; noting mean and covariance once a block costs little."""
    first, second, _ = experts(targets=3000)
    truth = torch.log_softmax(1.5 * second - 0.5 * first, -1)
    targets = drawn(truth)
    charged, state = run([first, second], targets, geometric.start(2, 10.0),
                         partial(geometric.newton, precision=10.0, fading=1.0), block)  # fmt: skip
    plain = geometric.exponents(state, torch.tensor([[1.0, 0.0, 0.0, 0.0]]))[0]
    at_average = geometric.exponents(state, geometric.features(first, second).mean(0, keepdim=True))[0]
    best = float(truth.gather(1, targets[:, None]).sum())
    assert at_average.tolist() == pytest.approx([-0.5, 1.5], abs=0.15)
    assert plain.isfinite().all()
    assert sum(charged) > best - 0.02 * len(targets)
    assert sum(charged) > float(second.gather(1, targets[:, None]).sum()) + 0.1 * len(targets)


def test_fading_lets_the_exponents_follow():
    first, second, _ = experts(targets=1200)
    targets = torch.cat([drawn(second[:600]), drawn(first[600:])])
    still = sum(run([first, second], targets, geometric.start(2, 100.0))[0])
    faded = partial(geometric.newton, precision=100.0, fading=0.5 ** (1 / 100))
    assert sum(run([first, second], targets, geometric.start(2, 100.0), faded)[0]) > still + 20


@settings(max_examples=30, deadline=None)
@given(
    targets=st.lists(st.integers(0, 6), min_size=1, max_size=20), sharp=st.floats(0.1, 8.0),
    share=st.sampled_from([0.0, 1e-3, 0.1]), seed=st.integers(0, 99),
)  # fmt: skip
def test_beside_its_entries_the_mixture_loses_no_more_than_the_bound(targets, sharp, share, seed):
    """Any text, also the worst: the learned mixture is one of K + 1 experts of a fixed share."""
    entries = [torch.log_softmax(sharp * one, -1) for one in experts(seed=seed)]
    wild = partial(geometric.newton, precision=0.1, fading=0.9)
    learned, _ = run(entries, torch.tensor(targets), geometric.start(3, 0.1), wild)
    weights, paid = uniform_log_weights(4), 0.0
    realised = [[float(one[number, target]) for one in entries] for number, target in enumerate(targets)]
    for mixture, charges in zip(learned, realised, strict=True):
        every = torch.tensor([mixture, *charges], dtype=torch.float64)
        paid -= float(torch.logsumexp(weights + every, -1))
        weights = fixed_share_update(weights, every, share)
    best = min(-sum(one) for one in (*zip(*realised, strict=True), learned))
    assert paid <= best + switching_bound(4, len(targets), 0, share) + 1e-6
    assert math.isfinite(paid)
