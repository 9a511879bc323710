import numpy as np
import pytest

from evaladapt.artifact import QuantisationPlan
from evaladapt.artifact.quantize import step_grid
from evaladapt.errors import UsageError


def test_the_default_plan():
    plan = QuantisationPlan()
    assert plan.bits_for("blocks.0.mlp.up", (1024, 256)) == 6
    assert plan.bits_for("embedding", (2048, 256)) == 8
    assert plan.bits_for("blocks.0.attn_scale", (8192,)) == 16
    assert plan.bits_for("blocks.0.resid_mix", (2, 256)) == 16


def test_the_last_matching_override_wins():
    plan = QuantisationPlan(overrides={"blocks.*": 5, "blocks.0.*": 7})
    assert plan.bits_for("blocks.0.mlp.up", (9, 9)) == 7
    assert plan.bits_for("blocks.1.mlp.up", (9, 9)) == 5
    fixed = plan.with_grids({"blocks.0.mlp.up": step_grid(0.5, 4)})
    assert fixed.bits_for("blocks.0.mlp.up", (9, 9)) == 4
    assert fixed.grid_for("blocks.0.mlp.up", (9, 9), np.ones((9, 9), np.float32)).steps == 0.5


def test_a_step_for_the_matrix_or_one_for_each_row():
    weights = np.random.default_rng(0).standard_normal((80, 80)).astype(np.float32)
    assert len(QuantisationPlan().grid_for("w", (80, 80), weights).scales) == 1
    assert len(QuantisationPlan(row_scales=True).grid_for("w", (80, 80), weights).scales) == 80


@pytest.mark.parametrize("bits", [0, 3, 9, 15, 17, 32])
def test_other_bits_are_refused(bits):
    with pytest.raises(UsageError, match="4 to 8 bits"):
        QuantisationPlan(matrix_bits=bits)
    with pytest.raises(UsageError, match="4 to 8 bits"):
        QuantisationPlan(overrides={"x": bits})
