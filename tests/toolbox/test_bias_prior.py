"""The strength that a row learns: from counts that were drawn with a known one, and from nothing."""

import pytest
import torch

from evaladapt.toolbox.bias_prior import SHARE, GammaPrior, GaussianPrior, LearnedGammaPrior, prior_named

USUAL = 2.0
TOKENS = 1000


def counts_of(shape, targets=500, rows=8, seed=0):
    """Counts [B, V], and the expected ones that they were drawn about: in bursts of this shape, or by chance alone."""
    generator = torch.Generator().manual_seed(seed)
    expected = torch.distributions.Dirichlet(torch.full((TOKENS,), 0.1)).sample((rows,)) * targets
    rates = (
        torch.ones(rows, TOKENS) if shape is None else torch.distributions.Gamma(shape, shape).sample((rows, TOKENS))
    )
    return torch.poisson(expected * rates, generator=generator), expected


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(1)


@pytest.mark.parametrize("shape", [0.5, 2.0, 8.0])
def test_it_finds_the_strength_that_counts_were_drawn_with(shape):
    learned = LearnedGammaPrior(USUAL).of(*counts_of(torch.tensor(shape))).strength
    assert learned.shape == (8, 1)
    assert float(learned.log2().mean()) == pytest.approx(float(torch.tensor(shape * SHARE).log2()), abs=0.7)


def test_counts_that_stray_by_chance_alone_teach_nothing():
    """Then the prior is so strong that hardly anything is added to any logit."""
    strengths = LearnedGammaPrior(USUAL).of(*counts_of(None, targets=5000)).strength
    assert float(strengths.min()) > 10 * USUAL


def test_a_row_without_a_past_has_the_usual_strength_and_a_little_evidence_moves_it_a_little():
    nothing = torch.zeros(2, TOKENS)
    assert LearnedGammaPrior(USUAL).of(nothing, nothing).strength.tolist() == [[pytest.approx(USUAL, rel=1e-3)]] * 2
    counts = nothing.clone()
    counts[0, 3] = 2.0
    strengths = LearnedGammaPrior(USUAL).of(counts, torch.full((2, TOKENS), 2 / TOKENS)).strength[:, 0].tolist()
    assert 0.25 * USUAL < strengths[0] < USUAL < strengths[1] * 1.5


def test_rows_do_not_know_of_each_other():
    counts, expected = counts_of(torch.tensor(1.0))
    together = LearnedGammaPrior(USUAL).of(counts, expected).strength
    alone = [LearnedGammaPrior(USUAL).of(counts[row : row + 1], expected[row : row + 1]).strength for row in range(8)]
    assert torch.allclose(together, torch.cat(alone), rtol=1e-6)


def test_what_a_person_names_is_what_it_is():
    assert prior_named("gamma", 3.0, USUAL) == GammaPrior(3.0)
    assert prior_named("gamma", None, USUAL) == LearnedGammaPrior(USUAL)
    assert prior_named("gaussian", None, USUAL) == GaussianPrior(USUAL)
