from types import SimpleNamespace

import numpy as np
import pytest
import torch

from evaladapt.errors import ContractViolation
from evaladapt.judge.charging import Charging


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
