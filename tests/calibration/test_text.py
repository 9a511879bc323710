import json
import math

import pytest
import torch

from evaladapt.calibration.text import own_text, training_text
from evaladapt.data.prepare import prepare
from evaladapt.data.selection import Plan
from evaladapt.errors import DataError
from tests.tiny import BOS, tiny_model


def test_own_text_begins_with_bos_and_repeats_for_a_seed():
    model = tiny_model()
    text = own_text(model, 3, 16, BOS)
    assert text.shape == (3, 16)
    assert (text[:, 0] == BOS).all()
    assert torch.equal(text, own_text(model, 3, 16, BOS))
    assert not torch.equal(text, own_text(model, 3, 16, BOS, seed=1))


def test_own_text_is_drawn_from_the_model():
    """The mean surprise of what was drawn is the mean entropy of what it was drawn from."""
    model = tiny_model()
    text = own_text(model, 200, 12, BOS)
    logs = torch.log_softmax(model(text[:, :-1]), -1).double()
    surprise = -logs.gather(-1, text[:, 1:, None]).sum(-1).sum(-1)
    entropy = -(logs.exp() * logs).sum(-1).sum(-1)
    error = float((surprise - entropy).std()) / math.sqrt(200)
    assert abs(float((surprise - entropy).mean())) < 4 * error


DOCUMENTS = [
    f"Document {number} tells of a river, {number * 7} boats and a quiet harbour. " * 6 for number in range(30)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("calibration")
    source = root / "text.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS))
    prepare(Plan((source,), root / "shards", train_vocab=300, val_fraction=0.1))
    return root / "shards"


def test_training_text_is_windows_of_the_training_shards(folder):
    text = training_text(folder, 4, 32, 300)
    assert text.shape == (4, 32)
    assert text.dtype == torch.int64
    assert int(text.max()) < 300


def test_a_folder_with_a_document_that_will_be_scored_is_refused(folder, tmp_path):
    scored = tmp_path / "scored.jsonl"
    lines = [json.dumps({"text": text.replace(" ", "\n", 1)}) for text in DOCUMENTS]
    scored.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"documents of .*scored\.jsonl are in the training text"):
        training_text(folder, 4, 32, 300, never=[scored])
    scored.write_text(json.dumps({"text": "something else"}))
    assert training_text(folder, 4, 32, 300, never=[scored]).shape == (4, 32)


def test_folders_without_shards_or_with_too_little_are_refused(folder, tmp_path):
    with pytest.raises(DataError, match="evaladapt data prepare"):
        training_text(tmp_path, 4, 32, 300)
    with pytest.raises(DataError, match="fewer than one window"):
        training_text(folder, 4, 10**6, 300)
