"""Every row of the batched L-BFGS is held against torch's own optimiser, run on that row alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from evaladapt.errors import UsageError
from evaladapt.toolbox.batched_lbfgs import LbfgsOptions, minimise

Values = Callable[[Tensor], Tensor]


def with_gradient(values: Values) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The objective's values and gradients by autograd; rows are independent, so the sum separates them."""

    def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
        leaf = x.detach().clone().requires_grad_()
        value = values(leaf)
        (grad,) = torch.autograd.grad(value.sum(), leaf)
        return value.detach(), grad

    return evaluate


def torch_reference(values: Values, start: Tensor, options: LbfgsOptions) -> Tensor:
    leaf = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [leaf],
        max_iter=options.iterations,
        max_eval=10_000,
        history_size=options.history,
        tolerance_grad=options.tolerance_grad,
        tolerance_change=options.tolerance_change,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = values(leaf).sum()
        value.backward()
        return value

    optimiser.step(closure)
    return leaf.detach()


def rosenbrock(x: Tensor) -> Tensor:
    return (100.0 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1.0 - x[:, :-1]) ** 2).sum(-1)


def quadratics(rows: int, unknowns: int, seed: int) -> tuple[Values, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    root = torch.randn(rows, unknowns, unknowns, generator=rng, dtype=torch.float64)
    hessian = root @ root.transpose(1, 2) + 0.1 * torch.eye(unknowns, dtype=torch.float64)
    linear = torch.randn(rows, unknowns, generator=rng, dtype=torch.float64)

    def values(x: Tensor) -> Tensor:
        return 0.5 * torch.einsum("bi,bij,bj->b", x, hessian, x) - (linear * x).sum(-1)

    return values, torch.linalg.solve(hessian, linear)


def log_sum_exp(rows: int, unknowns: int, seed: int) -> Values:
    rng = torch.Generator().manual_seed(seed)
    planes = 3.0 * torch.randn(rows, 2 * unknowns, unknowns, generator=rng, dtype=torch.float64)
    offsets = torch.randn(rows, 2 * unknowns, generator=rng, dtype=torch.float64)

    def values(x: Tensor) -> Tensor:
        return torch.logsumexp(torch.einsum("bki,bi->bk", planes, x) + offsets, dim=-1) + 0.05 * (x * x).sum(-1)

    return values


def rosenbrock_starts() -> Tensor:
    rng = torch.Generator().manual_seed(3)
    return torch.randn(6, 4, generator=rng, dtype=torch.float64) * 1.5


@pytest.mark.parametrize("iterations", [1, 2, 5, 12])
def test_rows_follow_torch_step_by_step_on_rosenbrock(iterations: int) -> None:
    options = LbfgsOptions(iterations=iterations, history=5)
    start = rosenbrock_starts()
    result = minimise(with_gradient(rosenbrock), start, options)
    for row in range(len(start)):
        expected = torch_reference(rosenbrock, start[row : row + 1], options)
        torch.testing.assert_close(result.x[row : row + 1], expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("loose", [{"tolerance_change": 0.05}, {"tolerance_grad": 5.0}])
def test_rows_stop_where_torch_stops(loose: dict[str, float]) -> None:
    options = replace(LbfgsOptions(iterations=50), **loose)
    start = rosenbrock_starts()
    result = minimise(with_gradient(rosenbrock), start, options)
    for row in range(len(start)):
        expected = torch_reference(rosenbrock, start[row : row + 1], options)
        torch.testing.assert_close(result.x[row : row + 1], expected, atol=1e-6, rtol=1e-6)


def shallow(x: Tensor) -> Tensor:
    return torch.log1p(1e-4 * (x - 300.0) ** 2).sum(-1)


@pytest.mark.parametrize("iterations", [1, 2, 4])
def test_rows_follow_torch_where_the_first_step_is_far_too_short(iterations: int) -> None:
    options = LbfgsOptions(iterations=iterations)
    start = torch.tensor([[0.0, 10.0], [250.0, 100.0], [-90.0, 290.0]], dtype=torch.float64)
    result = minimise(with_gradient(shallow), start, options)
    for row in range(len(start)):
        expected = torch_reference(shallow, start[row : row + 1], options)
        torch.testing.assert_close(result.x[row : row + 1], expected, atol=1e-6, rtol=1e-6)


def test_rosenbrock_is_solved_from_many_starts() -> None:
    options = LbfgsOptions(iterations=300, tolerance_change=1e-14)
    result = minimise(with_gradient(rosenbrock), rosenbrock_starts(), options)
    assert result.grad_norm.max() < 1e-4
    assert result.iterations.max() < 300


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 5), unknowns=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_convex_problems_reach_the_optimum_torch_reaches(rows: int, unknowns: int, seed: int) -> None:
    options = LbfgsOptions(iterations=100)
    values = log_sum_exp(rows, unknowns, seed)
    start = torch.zeros(rows, unknowns, dtype=torch.float64)
    result = minimise(with_gradient(values), start, options)
    expected = values(torch.cat([_row_reference(values, start, row, options) for row in range(rows)]))
    assert (result.value <= expected + 1e-8).all()


def _row_reference(values: Values, start: Tensor, row: int, options: LbfgsOptions) -> Tensor:
    def of_row(x: Tensor) -> Tensor:
        return values(torch.cat([start[:row], x, start[row + 1 :]]))[row : row + 1]

    return torch_reference(of_row, start[row : row + 1], options)


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 4), unknowns=st.integers(1, 6), seed=st.integers(0, 10_000))
def test_quadratics_are_solved(rows: int, unknowns: int, seed: int) -> None:
    values, solution = quadratics(rows, unknowns, seed)
    start = torch.zeros(rows, unknowns, dtype=torch.float64)
    result = minimise(with_gradient(values), start, LbfgsOptions(iterations=200, tolerance_change=1e-14))
    torch.testing.assert_close(result.x, solution, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(result.value, values(result.x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_row_does_not_depend_on_its_neighbours(dtype: torch.dtype) -> None:
    start = rosenbrock_starts().to(dtype)
    together = minimise(with_gradient(rosenbrock), start, LbfgsOptions(iterations=20))
    for row in range(len(start)):
        alone = minimise(with_gradient(rosenbrock), start[row : row + 1], LbfgsOptions(iterations=20))
        assert torch.equal(alone.x[0], together.x[row])
        assert alone.iterations[0] == together.iterations[row]


def test_a_converged_row_never_moves_again() -> None:
    start = rosenbrock_starts()
    start[2] = 1.0
    result = minimise(with_gradient(rosenbrock), start, LbfgsOptions(iterations=20))
    assert torch.equal(result.x[2], start[2])
    assert result.iterations[2] == 0
    assert result.iterations[0] > 0


def test_a_settled_row_is_left_alone_while_others_go_on() -> None:
    start = rosenbrock_starts()
    short = minimise(with_gradient(rosenbrock), start, LbfgsOptions(iterations=30, tolerance_change=1e-6))
    long = minimise(with_gradient(rosenbrock), start, LbfgsOptions(iterations=60, tolerance_change=1e-6))
    settled = short.iterations < 30
    assert settled.any()
    assert not settled.all()
    assert torch.equal(long.x[settled], short.x[settled])
    assert torch.equal(long.iterations[settled], short.iterations[settled])


def test_a_row_that_is_not_finite_stays_and_leaves_the_others_alone() -> None:
    start = rosenbrock_starts()
    start[1] = torch.nan
    result = minimise(with_gradient(rosenbrock), start, LbfgsOptions(iterations=20))
    assert result.x[1].isnan().all()
    assert result.x[[0, 2, 3, 4, 5]].isfinite().all()


def test_a_step_into_infinity_is_cut_back() -> None:
    def values(x: Tensor) -> Tensor:
        return (10.0 * x - torch.log(1.0 - x)).sum(-1) + (1e-3 / (x + 1.0)).sum(-1)

    def barrier(x: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = with_gradient(values)(x)
        outside = (x <= -1.0).any(-1)
        return torch.where(outside, torch.full_like(value, torch.nan), value), grad

    result = minimise(barrier, torch.full((2, 1), 0.5, dtype=torch.float64), LbfgsOptions(iterations=60))
    assert (result.x > -1.0).all()
    assert result.grad_norm.max() < 1e-2


def test_values_never_rise() -> None:
    start = rosenbrock_starts()
    previous = rosenbrock(start)
    for iterations in range(1, 10):
        value = minimise(with_gradient(rosenbrock), start, LbfgsOptions(iterations=iterations)).value
        assert (value <= previous + 1e-12).all()
        previous = value


def test_evaluations_count_the_calls() -> None:
    calls = 0

    def counted(x: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        return with_gradient(rosenbrock)(x)

    assert minimise(counted, rosenbrock_starts()).evaluations == calls


@pytest.mark.parametrize("wrong", [{"history": 0}, {"iterations": -1}, {"c1": 0.9, "c2": 0.1}])
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        replace(LbfgsOptions(), **wrong)


def test_a_flat_start_is_refused() -> None:
    with pytest.raises(UsageError, match="shape"):
        minimise(with_gradient(rosenbrock), torch.zeros(3))
