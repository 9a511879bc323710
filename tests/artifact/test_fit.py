import numpy as np
import pytest
import torch

from evaladapt.artifact import ArtifactTooLarge, QuantisationPlan, fit, write_artifact
from evaladapt.artifact.fit import CLOSE_ENOUGH, fit_plan
from evaladapt.artifact.quantize import largest_code
from evaladapt.artifact.writer import ArtifactContent, as_arrays, build_artifact


def weights():
    generator = torch.Generator().manual_seed(0)
    return {
        "embedding": torch.randn(96, 64, generator=generator),
        "even": torch.randn(128, 64, generator=generator),
        "spiky": torch.randn(128, 64, generator=generator) ** 5,
        "small": torch.ones(16),
    }


def content(hessians=None):
    return ArtifactContent({}, as_arrays(weights()), b"t", {}, hessians or {})


def size(plan):
    return len(build_artifact(content(), plan))


def fitted(share, sensitivity=None):
    """The plan for a share of the default plan's bytes, and that number of bytes."""
    limit = int(share * size(QuantisationPlan()))
    return fit_plan(content(), QuantisationPlan(), limit, sensitivity).plan, limit


def step(plan, name):
    return float(plan.grids[name].steps[0, 0])


@pytest.mark.parametrize("share", [1.2, 1.0, 0.9, 0.75])
def test_the_limit_is_kept_and_used(tmp_path, share):
    plan, limit = fitted(share)
    written = write_artifact(tmp_path / "m.eva", {}, weights(), b"t", {}, plan, limit)
    assert (1 - CLOSE_ENOUGH) * limit <= written.bytes <= limit


def test_the_limit_is_kept_with_gptq(tmp_path):
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((200, 64)) @ generator.standard_normal((64, 64))
    hessians = {"even": inputs.T @ inputs, "spiky": inputs.T @ inputs}
    limit = int(0.8 * size(QuantisationPlan()))
    plan = fit_plan(content(hessians), QuantisationPlan(), limit).plan
    assert write_artifact(tmp_path / "m.eva", {}, weights(), b"t", {}, plan, limit, hessians).bytes <= limit


def test_a_limit_beyond_every_need_stops_at_the_steps_of_eight_bits():
    plan = fit_plan(content(), QuantisationPlan(), 10**9).plan
    assert size(plan) < 10**5
    for name in plan.grids:
        deviation = float(weights()[name].square().mean().sqrt())
        assert step(plan, name) == pytest.approx(8 * deviation / 127, rel=0.001)


def test_tighter_limits_mean_larger_steps():
    plans = [fitted(share)[0] for share in (0.95, 0.85, 0.75)]
    for name in ("embedding", "even", "spiky"):
        steps = [step(plan, name) for plan in plans]
        assert steps == sorted(steps)
    assert all("small" not in plan.grids for plan in plans)


def test_a_sensitive_weight_gets_smaller_steps():
    """Four times the sensitivity per number is half the step."""
    numbers = {"embedding": 96 * 64, "even": 128 * 64, "spiky": 128 * 64}
    plan, _ = fitted(0.9, {name: count * (4.0 if name == "even" else 1.0) for name, count in numbers.items()})
    assert step(plan, "even") == pytest.approx(step(plan, "embedding") / 2, rel=0.01)


def test_without_sensitivities_the_proportions_of_the_plan_stay():
    before = QuantisationPlan().grid_for("even", (128, 64), weights()["even"].numpy())
    embedding = QuantisationPlan().grid_for("embedding", (96, 64), weights()["embedding"].numpy())
    plan, _ = fitted(0.9)
    ratio = step(plan, "even") / step(plan, "embedding")
    assert ratio == pytest.approx(float(before.steps[0, 0] / embedding.steps[0, 0]), rel=0.01)


@pytest.mark.parametrize("share", [0.8, 10**4])
def test_no_weight_is_clipped(share):
    plan, _ = fitted(share)
    for name, grid in plan.grids.items():
        peaks = weights()[name].abs().amax(dim=1, keepdim=True).numpy()
        assert (largest_code(grid.bits) * grid.steps >= 0.999 * peaks).all()


def test_only_rows_that_need_it_have_a_coarser_step():
    grid = fit_plan(content(), QuantisationPlan(), 10**9).plan.grids["spiky"]
    finest, coarser = grid.steps.min(), grid.steps > grid.steps.min()
    peaks = weights()["spiky"].abs().amax(dim=1, keepdim=True).numpy()
    assert 0 < coarser.sum() < len(peaks)
    assert ((peaks > 127 * finest) == coarser).all()


def test_the_damage_is_near_the_least_there_is():
    """Against any shift of one step up and another down by a tenth at about the same size."""
    numbers = {"embedding": 96 * 64, "even": 128 * 64}
    sensitivity = {"embedding": 5e3, "even": 1e3, "spiky": 1e3}
    plan, _ = fitted(0.9, sensitivity)

    def damage(steps):
        return sum(sensitivity[name] * steps[name] ** 2 for name in numbers)

    best = {name: step(plan, name) for name in numbers}
    for up, down in (("even", "embedding"), ("embedding", "even")):
        factor = 1.1 ** (-numbers[up] / numbers[down])
        assert damage(best) < damage({up: 1.1 * best[up], down: factor * best[down]})


def test_weights_of_zeros_fit():
    tensors = {"zeros": np.zeros((80, 80), np.float32), "even": weights()["even"].numpy()}
    empty = ArtifactContent({}, tensors, b"t", {})
    assert len(fit_plan(empty, QuantisationPlan(), 6000).data) <= 6000


def test_what_cannot_fit_is_refused():
    with pytest.raises(ArtifactTooLarge, match="does not fit 5,000 bytes: with 4 bits"):
        fit_plan(content(), QuantisationPlan(), 5000)


def test_the_bytes_are_those_of_the_plan_and_nothing_is_built_twice(monkeypatch):
    built = []

    def counted(*arguments):
        built.append(build_artifact(*arguments))
        return built[-1]

    monkeypatch.setattr(fit, "build_artifact", counted)
    fitted = fit_plan(content(), QuantisationPlan(), 9000)
    assert fitted.data == build_artifact(content(), fitted.plan)
    assert any(fitted.data is one for one in built)
