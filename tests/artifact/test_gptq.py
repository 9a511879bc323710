import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.artifact.gptq import DAMPING, gptq
from evaladapt.artifact.quantize import clip_grid, dequantize, nearest, searched_grid

quick = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)


def weighted_error(difference, hessian):
    """``tr(E H E^T)``: the squared error of the outputs, for a difference ``[R, C]`` of weights."""
    values = difference.astype(np.float64)
    return float(np.einsum("rc,rc->", values @ hessian, values))


def problem(seed, rows=12, columns=20, samples=60):
    """Weights and the second moment of correlated inputs."""
    generator = np.random.default_rng(seed)
    weights = generator.standard_normal((rows, columns)).astype(np.float32)
    mixing = generator.standard_normal((columns, columns)) + 2 * generator.standard_normal((1, columns))
    inputs = generator.standard_normal((samples, columns)) @ mixing
    return weights, inputs.T @ inputs / samples


def by_the_book(weights, grid, hessian, damping=DAMPING):
    """One column after the other, the inverse of what is left worked out anew each time: no blocks, no factor."""
    order = np.argsort(-np.diag(hessian), kind="stable")
    damped = hessian + damping * np.diag(hessian).mean() * np.eye(len(hessian))
    left = weights.astype(np.float64).copy()
    codes = np.zeros(weights.shape, np.int8)
    steps = np.broadcast_to(grid.steps.astype(np.float64), (len(weights), 1))[:, 0]
    for place, column in enumerate(order):
        rest = order[place:]
        inverse = np.linalg.inv(damped[np.ix_(rest, rest)])
        chosen = np.clip(np.rint(left[:, column] / steps), -grid.largest, grid.largest)
        codes[:, column] = chosen
        error = left[:, column] - chosen * steps
        left[:, rest[1:]] -= np.outer(error, inverse[0, 1:] / inverse[0, 0])
    return codes


@quick
@given(seeds)
def test_independent_inputs_of_one_size_give_nearest_codes(seed):
    weights, _ = problem(seed)
    for grid in (clip_grid(weights, 4), searched_grid(weights, 4)):
        assert (gptq(weights, grid, 3.0 * np.eye(20)).codes == nearest(weights, grid).codes).all()


@quick
@given(seeds)
def test_outputs_err_less_than_with_nearest_codes(seed):
    weights, hessian = problem(seed)
    grid = clip_grid(weights, 4)
    careful, plain = (dequantize(one) - weights for one in (gptq(weights, grid, hessian), nearest(weights, grid)))
    assert weighted_error(careful, hessian) < weighted_error(plain, hessian)


@quick
@given(seeds, st.sampled_from([1, 7, 20, 128]))
def test_blocks_and_the_cholesky_factor_change_nothing(seed, block):
    weights, hessian = problem(seed)
    for grid in (clip_grid(weights, 5), searched_grid(weights, 4)):
        found = gptq(weights, grid, hessian, block=block).codes
        # A code may differ where rounding decides between two values that are equally near; it then moves others.
        assert (found != by_the_book(weights, grid, hessian)).any(axis=1).sum() <= 1


def test_the_scale_of_the_hessian_does_not_matter():
    weights, hessian = problem(1)
    grid = clip_grid(weights, 4)
    assert (gptq(weights, grid, hessian).codes == gptq(weights, grid, 1024.0 * hessian).codes).all()


def test_inputs_that_never_occur_get_nearest_codes_and_disturb_nothing():
    weights, hessian = problem(2)
    hessian[[3, 8]] = 0
    hessian[:, [3, 8]] = 0
    grid = clip_grid(weights, 4)
    found = gptq(weights, grid, hessian).codes
    assert (found[:, [3, 8]] == nearest(weights, grid).codes[:, [3, 8]]).all()
    seen = [column for column in range(20) if column not in (3, 8)]
    # Damping is a share of the mean diagonal, which counts the absent inputs too.
    alone = gptq(weights[:, seen], grid, hessian[np.ix_(seen, seen)], damping=DAMPING * 18 / 20).codes
    assert (found[:, seen] == alone).all()
    assert (gptq(weights, grid, np.zeros((20, 20))).codes == nearest(weights, grid).codes).all()


def test_fewer_samples_than_columns_are_enough():
    weights, hessian = problem(3, samples=4)
    grid = clip_grid(weights, 4)
    careful, plain = (dequantize(one) - weights for one in (gptq(weights, grid, hessian), nearest(weights, grid)))
    assert weighted_error(careful, hessian) < 0.5 * weighted_error(plain, hessian)
