"""A real model from a folder: what the engine charges is what transformers' own logits say."""

from pathlib import Path

import pytest
import torch

from evaladapt.model.families import open_model
from evaladapt.testing import check_model

pytest.importorskip("transformers", reason="the extra hf is not installed")

STORIES = Path(__file__).resolve().parents[3] / "shared" / "data" / "stories260K"
TOLD = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."


@pytest.mark.skipif(not STORIES.is_dir(), reason="the development data (../shared/data) is not here")
def test_charges_are_those_of_transformers_own_logits():
    from tests.families.agreement import compared, transformers_model

    opened = open_model(str(STORIES), torch.device("cpu"))
    check_model(opened.backend, opened.tokenizer)
    ours, theirs, worst, targets, size = compared(opened, transformers_model(str(STORIES)), [TOLD, " " + TOLD])
    assert worst < 1e-5
    assert ours == pytest.approx(theirs)
    assert size == 2 * len(TOLD) + 1
    assert ours < 1.0
    assert targets > 40
