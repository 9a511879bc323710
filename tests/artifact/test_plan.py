import pytest

from evaladapt.artifact import QuantisationPlan
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
    assert plan.with_bits({"blocks.0.mlp.up": 4}).bits_for("blocks.0.mlp.up", (9, 9)) == 4


@pytest.mark.parametrize("bits", [0, 3, 9, 15, 17, 32])
def test_other_bits_are_refused(bits):
    with pytest.raises(UsageError, match="4 to 8 bits"):
        QuantisationPlan(matrix_bits=bits)
    with pytest.raises(UsageError, match="4 to 8 bits"):
        QuantisationPlan(overrides={"x": bits})
