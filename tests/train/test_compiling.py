import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from evaladapt.train import compiling
from evaladapt.train.compiling import loss_for
from evaladapt.train.loss import training_loss


def test_only_cuda_compiles_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.torch, "compile", lambda loss: ("compiled", loss))
    assert loss_for(torch.device("cpu"), "auto") is training_loss
    assert loss_for(torch.device("cuda"), "off") is training_loss
    assert loss_for(torch.device("cuda"), "auto") == ("compiled", training_loss)
    assert loss_for(torch.device("cpu"), "on") == ("compiled", training_loss)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_loss_has_the_same_value_and_gradient() -> None:
    """In a process of its own, because the compiler imports much that warns, and keeps it."""
    command = [sys.executable, "-m", "tests.train.compiled_once"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found["on"]["loss"] == pytest.approx(found["off"]["loss"], rel=1e-5)
    np.testing.assert_allclose(found["on"]["gradient"], found["off"]["gradient"], rtol=1e-3, atol=1e-6)
    assert np.abs(found["off"]["gradient"]).max() > 1e-3
