import shutil
from dataclasses import replace

import pytest
import torch

from evaladapt.train.compiling import loss_for
from evaladapt.train.loss import training_loss
from tests.model.features import PLAIN, stirred_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what torch imports to compile
TOKENS = torch.randint(2, PLAIN.vocab_size, (2, 17), generator=torch.Generator().manual_seed(5))


def test_only_cuda_compiles_unasked() -> None:
    assert loss_for(torch.device("cpu"), "auto") is training_loss
    assert loss_for(torch.device("cuda"), "off") is training_loss
    assert loss_for(torch.device("cuda"), "auto") is not training_loss


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_loss_has_the_same_value_and_gradient() -> None:
    model, compiled = stirred_model(replace(PLAIN, layers=1)), loss_for(torch.device("cpu"), "on")
    weights = list(model.parameters())
    expected, found = (loss(model, TOKENS[:, :-1], TOKENS[:, 1:]) for loss in (training_loss, compiled))
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for mine, theirs in zip(torch.autograd.grad(found, weights), torch.autograd.grad(expected, weights), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-6)
