"""Files that are whole and sealed and make no sense: the run that would use them refuses, before it builds anything."""

import pytest

from evaladapt.artifact import QuantisationPlan, write_artifact
from evaladapt.artifact.writer import ArtifactContent, as_arrays, build_artifact
from evaladapt.cli.main import invoke
from evaladapt.data.tokenizers.sentencepiece import train_tokenizer
from tests.tiny import tiny_model

WORDS = "a quick brown fox jumps over a lazy dog. "


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([WORDS * 20], 290)


LIES = {
    "a billion layers": ({"layers": 10**9}, "'layers' is 1e+09; the limit"),
    "a layer too many": ({"layers": 3}, "missing"),
    "no context": ({"context": 0}, "context must be positive"),
    "a vocabulary beyond the head's rows": ({"vocab_size": 291}, "the model configuration says"),
    "heads that do not divide the width": ({"heads": 3}, "not a multiple of heads"),
    "an option of another program": ({"experts": 8}, "unknown option 'experts'"),
}


def run(path, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(WORDS)
    return invoke(["run", str(path), "--data", str(text), "--out", str(tmp_path / "run")])


@pytest.mark.parametrize("lie", LIES)
def test_a_configuration_that_cannot_be_is_refused(tmp_path, tokenizer, capsys, lie):
    changes, words = LIES[lie]
    model = tiny_model(vocabulary=290)
    path = tmp_path / "lie.eva"
    config = {**model.config.to_dict(), **changes}
    # Not write_artifact, which reads back what it wrote and would itself refuse the first of these.
    content = ArtifactContent(config, as_arrays(dict(model.named_parameters())), tokenizer.model_bytes, {})
    path.write_bytes(build_artifact(content, QuantisationPlan()))
    assert run(path, tmp_path) == 5
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("pieces", [280, 300])
def test_a_tokenizer_of_another_vocabulary_is_refused(tmp_path, tokenizer, capsys, pieces):
    model = tiny_model(vocabulary=pieces)
    path = tmp_path / "lie.eva"
    write_artifact(path, model.config.to_dict(), dict(model.named_parameters()), tokenizer.model_bytes, {})
    assert run(path, tmp_path) == 5
    assert f"predicts {pieces} tokens and the tokenizer inside has 290 pieces" in capsys.readouterr().err


@pytest.mark.parametrize("model", [b"no sentencepiece model", bytes(4096)], ids=["text", "zeros"])
def test_a_tokenizer_that_is_none_is_refused(tmp_path, capsys, model):
    path = tmp_path / "lie.eva"
    write_artifact(path, tiny_model().config.to_dict(), dict(tiny_model().named_parameters()), model, {})
    assert run(path, tmp_path) == 5
    assert "Not a sentencepiece model" in capsys.readouterr().err
