from itertools import pairwise

import pytest
import torch

from evaladapt.artifact import ArtifactTooLarge, QuantisationPlan, write_artifact
from evaladapt.artifact.fit import fit_plan
from evaladapt.artifact.writer import ArtifactContent, as_arrays, build_artifact


def weights():
    generator = torch.Generator().manual_seed(0)
    return {
        "embedding": torch.randn(96, 64, generator=generator),
        "even": torch.randn(128, 64, generator=generator),
        "spiky": torch.randn(128, 64, generator=generator) ** 5,
        "small": torch.ones(16),
    }


def fitted(max_bytes, importance=None):
    plan = fit_plan({}, weights(), b"t", {}, QuantisationPlan(), max_bytes, importance)
    return {name: plan.bits_for(name, tuple(tensor.shape)) for name, tensor in weights().items()}


def size(plan):
    return len(build_artifact(ArtifactContent({}, as_arrays(weights()), b"t", {}), plan))


def test_a_plan_that_fits_stays():
    assert fitted(10**9) == {"embedding": 8, "even": 6, "spiky": 6, "small": 16}


@pytest.mark.parametrize("share", [0.95, 0.8])
def test_the_file_never_exceeds_the_limit(tmp_path, share):
    limit = int(share * size(QuantisationPlan()))
    plan = fit_plan({}, weights(), b"t", {}, QuantisationPlan(), limit)
    assert write_artifact(tmp_path / "m.eva", {}, weights(), b"t", {}, plan, limit).bytes <= limit


def test_tighter_limits_never_raise_bits():
    full = size(QuantisationPlan())
    steps = [fitted(int(share * full)) for share in (0.95, 0.85, 0.75)]
    for before, after in pairwise(steps):
        assert all(after[name] <= before[name] for name in before)
    assert all(step["small"] == 16 for step in steps)


def test_importance_protects_a_weight():
    limit = int(0.93 * size(QuantisationPlan()))
    assert fitted(limit, {"even": 1e9})["even"] == 6
    assert fitted(limit, {"even": 1e-9})["even"] < 6


def test_the_cheaper_error_goes_first():
    """Relative errors count: rows with spikes lose more of their energy per bit than even ones."""
    bits = fitted(int(0.95 * size(QuantisationPlan())), {"embedding": 1e9, "even": 1.0, "spiky": 1.0})
    assert bits["even"] < bits["spiky"]


def test_what_cannot_fit_is_refused():
    with pytest.raises(ArtifactTooLarge, match="does not fit 5,000 bytes: with 4 bits"):
        fitted(5000)
