import pytest
import torch

from evaladapt.model.families import open_model


@pytest.fixture(scope="session")
def opened(tiny_artifact):
    return open_model(str(tiny_artifact), torch.device("cpu"))
