import pytest
import torch

from evaladapt.engine.frozen import load_frozen


@pytest.fixture(scope="session")
def frozen(tiny_artifact):
    return load_frozen(tiny_artifact, torch.device("cpu"))
