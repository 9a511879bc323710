"""The logit correction's solvers against autograd, torch's optimiser and their own certificate."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from evaladapt.bench.newton import fit_newton
from evaladapt.bench.solver import example_windows, one_after_the_other
from evaladapt.errors import UsageError
from evaladapt.toolbox.batched_lbfgs import LbfgsOptions
from evaladapt.toolbox.bias_prior import GammaPrior, GaussianPrior, Prior
from evaladapt.toolbox.logit_bias import BiasProblem, Solver, fit, fit_lbfgs, fit_mm

PRIORS: list[Prior] = [GammaPrior(0.3), GammaPrior(4.0), GaussianPrior(0.3), GaussianPrior(4.0)]
SOLVERS: dict[str, Solver] = {
    "mm": partial(fit_mm, tolerance=1e-11, iterations=3000),
    "newton": partial(fit_newton, tolerance=1e-11),
    "lbfgs": partial(fit_lbfgs, options=LbfgsOptions(iterations=300, tolerance_change=1e-15)),
}


def windows(rows: int, tokens: int, vocabulary: int, seed: int) -> tuple[Tensor, Tensor]:
    example = example_windows(rows, tokens, vocabulary, seed)
    hidden = torch.rand(rows, tokens, generator=torch.Generator().manual_seed(seed)) < 0.3
    return example.logits.double(), example.targets.masked_fill(hidden, -100)


def objective(logits: Tensor, targets: Tensor, delta: Tensor, prior: Prior, weights: Tensor | None = None) -> Tensor:
    """The documented objective, term by term."""
    values = []
    for row in range(len(logits)):
        value = prior.cost(delta[row : row + 1])[0]
        for token in range(logits.shape[1]):
            if targets[row, token] >= 0:
                weight = 1.0 if weights is None else weights[row, token]
                value = value - weight * torch.log_softmax(logits[row, token] + delta[row], -1)[targets[row, token]]
        values.append(value)
    return torch.stack(values)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_value_and_gradient_are_those_of_the_documented_objective(prior: Prior) -> None:
    logits, targets = windows(3, 7, 11, seed=1)
    weights = torch.rand(3, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    delta = torch.randn(3, 11, generator=torch.Generator().manual_seed(3), dtype=torch.float64).requires_grad_()
    expected = objective(logits, targets, delta, prior, weights)
    (gradient,) = torch.autograd.grad(expected.sum(), delta)
    problem = BiasProblem.build(logits, targets, prior, weights)
    at = problem.predict(delta.detach())
    torch.testing.assert_close(problem.value(delta.detach(), at.partition), expected.detach())
    torch.testing.assert_close(problem.gradient(delta.detach(), at.expected), gradient)


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_every_solver_reaches_the_optimum(prior: Prior, solver: Solver) -> None:
    logits, targets = windows(4, 24, 40, seed=5)
    result = fit(logits, targets, prior, solver=solver)
    visible = (targets >= 0).sum(-1)
    reference = objective(logits, targets, one_after_the_other(logits, targets, prior, iterations=500), prior)
    best = torch.minimum(reference, fit_newton(BiasProblem.build(logits, targets, prior), tolerance=1e-14).value)
    torch.testing.assert_close(result.value, objective(logits, targets, result.delta, prior))
    assert ((result.value - best) / visible < 1e-7).all()
    assert ((result.value - best) <= result.gap + 1e-9).all()


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_single_precision_defaults_reach_a_tenth_of_a_millinat_per_token(prior: Prior, name: str) -> None:
    example = example_windows(4, 64, 256, seed=4)
    defaults = {"mm": fit_mm, "newton": fit_newton, "lbfgs": fit_lbfgs}
    result = fit(example.logits, example.targets, prior, solver=defaults[name])
    problem = BiasProblem.build(example.logits.double(), example.targets, prior)
    best = fit_newton(problem, tolerance=1e-12).value
    delta = result.delta.double()
    assert ((problem.value(delta, problem.predict(delta).partition) - best) / problem.total < 1e-4).all()


@settings(max_examples=25, deadline=None)
@given(
    prior=st.sampled_from(PRIORS),
    tokens=st.integers(1, 12),
    vocabulary=st.integers(2, 12),
    seed=st.integers(0, 10_000),
    scale=st.floats(0.0, 3.0),
)
def test_the_certificate_covers_the_true_distance(
    prior: Prior, tokens: int, vocabulary: int, seed: int, scale: float
) -> None:
    logits, targets = windows(2, tokens, vocabulary, seed)
    problem = BiasProblem.build(logits, targets, prior)
    best = fit_newton(problem, tolerance=1e-13, iterations=60).value
    rng = torch.Generator().manual_seed(seed)
    delta = scale * torch.randn(2, vocabulary, generator=rng, dtype=torch.float64)
    at = problem.predict(delta)
    assert (problem.gap(delta, at.expected) >= problem.value(delta, at.partition) - best - 1e-9).all()


@settings(max_examples=20, deadline=None)
@given(prior=st.sampled_from(PRIORS), seed=st.integers(0, 10_000), scale=st.floats(0.0, 4.0))
@pytest.mark.parametrize("solver", [fit_mm, fit_newton])
def test_no_iteration_raises_the_objective(solver: Solver, prior: Prior, seed: int, scale: float) -> None:
    logits, targets = windows(3, 10, 16, seed)
    problem = BiasProblem.build(logits, targets, prior)
    rng = torch.Generator().manual_seed(seed)
    delta = scale * torch.randn(3, 16, generator=rng, dtype=torch.float64)
    delta = problem.start(delta)
    value = problem.value(delta, problem.predict(delta).partition)
    for _ in range(6):
        step = solver(problem, delta, tolerance=0.0, iterations=1)  # type: ignore[call-arg]
        assert (step.value <= value + 1e-9 * value.abs().clamp_min(1.0)).all()
        delta, value = step.delta, step.value


def test_the_gamma_step_is_the_ratio_of_padded_counts() -> None:
    logits, targets = windows(2, 9, 6, seed=8)
    strength = 2.0
    step = fit(logits, targets, GammaPrior(strength), solver=partial(fit_mm, tolerance=0.0, iterations=1)).delta
    seen = torch.zeros(2, 6, dtype=torch.float64)
    predicted = torch.zeros(2, 6, dtype=torch.float64)
    for row, token in (targets >= 0).nonzero().tolist():
        seen[row, targets[row, token]] += 1.0
        predicted[row] += torch.softmax(logits[row, token], -1)
    ratio = (seen + strength) / (predicted + strength)
    torch.testing.assert_close(step, (ratio / ratio.mean(-1, keepdim=True)).log())


@pytest.mark.parametrize("solver", [fit_mm, fit_newton, fit_lbfgs])
@pytest.mark.parametrize("prior", [GammaPrior(1.0), GaussianPrior(1.0)], ids=str)
def test_rows_without_a_visible_target_get_exactly_zero(prior: Prior, solver: Solver) -> None:
    logits, targets = windows(3, 8, 12, seed=6)
    targets[1] = -100
    start = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))
    result = fit(logits.float(), targets, prior, start=start, solver=solver)
    assert torch.equal(result.delta[1], torch.zeros(12))
    assert result.value[1] == 0.0
    assert result.gap[1] == 0.0
    assert (result.delta[[0, 2]] != 0.0).any(-1).all()


@pytest.mark.parametrize("prior", PRIORS, ids=str)
@pytest.mark.parametrize("solver", [fit_mm, fit_newton, fit_lbfgs])
def test_a_row_does_not_depend_on_its_neighbours(prior: Prior, solver: Solver) -> None:
    example = example_windows(6, 32, 64, seed=7)
    together = fit(example.logits, example.targets, prior, solver=solver).delta
    for row in range(6):
        rows = slice(row, row + 1)
        alone = fit(example.logits[rows], example.targets[rows], prior, solver=solver).delta[0]
        if solver is fit_newton:
            torch.testing.assert_close(alone, together[row], atol=1e-6, rtol=0.0)
        else:
            assert torch.equal(alone, together[row])


def test_grouping_rows_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    example = example_windows(5, 9, 17, seed=7)
    prior = GammaPrior(1.0)
    weights = torch.rand(5, 9, generator=torch.Generator().manual_seed(0))
    start = torch.randn(5, 17, generator=torch.Generator().manual_seed(1))
    whole = fit(example.logits, example.targets, prior, weights=weights, start=start)
    monkeypatch.setattr("evaladapt.toolbox.logit_bias._CHUNK_ELEMENTS_CPU", 2 * 9 * 17)
    grouped = fit(example.logits, example.targets, prior, weights=weights, start=start)
    assert torch.equal(whole.delta, grouped.delta)
    assert torch.equal(whole.value, grouped.value)


@pytest.mark.parametrize("solver", [fit_mm, fit_newton, fit_lbfgs])
def test_hidden_positions_have_no_influence(solver: Solver) -> None:
    logits, targets = windows(2, 12, 10, seed=9)
    changed = torch.where((targets < 0)[..., None], logits.flip(-1) + 3.0, logits)
    assert not torch.equal(changed, logits)
    prior = GammaPrior(1.0)
    first = fit(logits, targets, prior, solver=solver).delta
    assert torch.equal(first, fit(changed, targets, prior, solver=solver).delta)


def test_weights_count_like_repeated_tokens() -> None:
    logits, targets = windows(2, 6, 9, seed=11)
    prior = GaussianPrior(1.0)
    doubled = fit(logits, targets, prior, weights=torch.full((2, 6), 2.0), solver=SOLVERS["newton"])
    repeated = fit(logits.repeat(1, 2, 1), targets.repeat(1, 2), prior, solver=SOLVERS["newton"])
    torch.testing.assert_close(doubled.delta, repeated.delta, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_one_newton_step_is_the_dense_one(prior: Prior) -> None:
    logits, targets = windows(2, 8, 10, seed=12)
    weights = torch.rand(2, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    step = fit(logits, targets, prior, weights=weights, solver=partial(fit_newton, tolerance=0.0, iterations=1))
    for row in range(2):
        rows = slice(row, row + 1)

        def of_row(delta: Tensor, rows: slice = rows) -> Tensor:
            return objective(logits[rows], targets[rows], delta[None], prior, weights[rows])[0]

        zero = torch.zeros(10, dtype=torch.float64)
        hessian = torch.autograd.functional.hessian(of_row, zero)
        gradient = torch.autograd.functional.jacobian(of_row, zero)
        torch.testing.assert_close(step.delta[row], -torch.linalg.solve(hessian, gradient))


def test_a_start_at_the_optimum_is_kept() -> None:
    logits, targets = windows(2, 20, 9, seed=11)
    prior = GammaPrior(1.0)
    best = fit(logits, targets, prior, solver=SOLVERS["newton"]).delta
    again = fit(logits, targets, prior, start=best)
    assert torch.equal(again.delta, best)
    assert again.passes == 1


def test_half_precision_logits_are_widened() -> None:
    example = example_windows(2, 16, 32, seed=2)
    half = example.logits.bfloat16()
    prior = GammaPrior(1.0)
    assert torch.equal(fit(half, example.targets, prior).delta, fit(half.float(), example.targets, prior).delta)


def test_extreme_logits_stay_finite() -> None:
    logits = torch.full((1, 4, 5), -200.0)
    logits[..., 0] = 200.0
    targets = torch.tensor([[1, 1, 2, 0]])
    for prior in PRIORS:
        for solver in (fit_mm, fit_newton, fit_lbfgs):
            result = fit(logits, targets, prior, solver=solver)
            assert result.delta.isfinite().all()
            assert result.value.isfinite().all()


@pytest.mark.parametrize("prior", [GammaPrior, GaussianPrior])
def test_a_prior_of_zero_is_refused(prior: type[GammaPrior] | type[GaussianPrior]) -> None:
    with pytest.raises(UsageError, match="positive"):
        prior(0.0)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="targets"):
        fit(torch.zeros(2, 3, 4), torch.zeros(2, 4, dtype=torch.int64), GammaPrior(1.0))
    with pytest.raises(UsageError, match="weights"):
        fit(torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.int64), GammaPrior(1.0), weights=torch.ones(2, 4))
    with pytest.raises(UsageError, match="start"):
        fit(torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.int64), GammaPrior(1.0), start=torch.ones(2, 5))
