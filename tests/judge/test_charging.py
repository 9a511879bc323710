from types import SimpleNamespace

import numpy as np
import pytest
import torch

from evaladapt.contract.views import Window
from evaladapt.engine.windows import Batch
from evaladapt.errors import ContractViolation
from evaladapt.judge.charging import Charging, Rules


def test_a_vocabulary_that_is_made_large_buys_no_tolerance():
    logprobs = np.full((1, 1 << 20), 2e-4 - np.log(1 << 20), dtype=np.float32)
    with pytest.raises(ContractViolation, match="no distribution"):
        Charging._refuse_broken(SimpleNamespace(worst_sum=0.0), 1, logprobs)


@pytest.mark.parametrize("vocabulary", [24, 8_192, 151_936])
def test_what_rounding_leaves_of_a_distribution_is_accepted_and_more_is_not(vocabulary):
    seen = SimpleNamespace(worst_sum=0.0)
    torch.manual_seed(0)
    logits = 3 * torch.randn(16, vocabulary) + 5 * torch.randn(16, 1)
    logprobs = logits.log_softmax(-1)
    Charging._refuse_broken(seen, 1, logprobs.numpy())
    assert 0 < seen.worst_sum < 2e-5
    with pytest.raises(ContractViolation, match="no distribution"):
        Charging._refuse_broken(seen, 1, (logprobs + 1e-4).numpy())


def test_a_target_without_any_probability_ends_the_run():
    tokens = np.array([0, 1, 2], dtype=np.int32)
    text = SimpleNamespace(name="three", tokens=tokens, documents=np.zeros(3, dtype=np.int32), targets=2)
    charging = Charging(text, Rules(mode="step"))
    charging.open(Batch(0, (Window(start=0, score_from=1, score_to=3),)))
    charging.charge(1, np.array([[-np.log(2), -np.log(2), -np.inf]], dtype=np.float32))
    with pytest.raises(ContractViolation, match="target 2 was given no probability") as caught:
        charging.charge(2, np.array([[0.0, -np.inf, -np.inf]], dtype=np.float32))
    assert (caught.value.clause, caught.value.positions) == ("C2", (2,))
