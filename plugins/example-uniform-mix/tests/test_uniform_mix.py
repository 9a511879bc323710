import math

import pytest
import torch
from evaladapt_uniform_mix import UniformMix, UniformMixOptions

from evaladapt.testing import check_strategy


def test_it_keeps_the_contract():
    check_strategy(UniformMix, options={"share": 0.2})


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_no_token_costs_more_than_the_share_allows(share):
    certain = torch.log_softmax(torch.tensor([[[30.0, 0.0, -30.0]]]), dim=-1)
    mixed = UniformMix(UniformMixOptions(share=share)).mix(certain)
    assert float(mixed.exp().sum()) == pytest.approx(1)
    if share:
        assert float(mixed.min()) >= math.log(share / 3) - 1e-6
    else:
        assert torch.allclose(mixed, certain)
