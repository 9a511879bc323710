import pytest
import torch

from evaladapt.artifact import write_artifact
from evaladapt.cli.main import invoke
from evaladapt.errors import EXIT_INPUT, ArtifactError
from evaladapt.model.families import open_model
from tests.tiny import tiny_model

CPU = torch.device("cpu")


@pytest.fixture
def write(tmp_path):
    def write(vocabulary, tokenizer_model):
        model, path = tiny_model(vocabulary=vocabulary), tmp_path / "odd.eva"
        write_artifact(path, model.config.to_dict(), dict(model.named_parameters()), tokenizer_model, {})
        return path

    return write


def test_model_and_tokenizer_of_one_vocabulary_are_opened(tiny_artifact, tiny_tokenizer):
    opened = open_model(f"eva:{tiny_artifact}", CPU)
    assert opened.backend.vocab_size == opened.tokenizer.vocab_size == tiny_tokenizer.vocab_size
    assert opened.files[0].path == str(tiny_artifact)


@pytest.mark.parametrize("more", [-1, 1])
def test_a_model_and_a_tokenizer_of_other_sizes_are_refused(write, tiny_tokenizer, more):
    path = write(tiny_tokenizer.vocab_size + more, tiny_tokenizer.model_bytes)
    with pytest.raises(ArtifactError, match="do not belong together") as refused:
        open_model(f"eva:{path}", CPU)
    assert str(path) in str(refused.value)
    for size in (tiny_tokenizer.vocab_size, tiny_tokenizer.vocab_size + more):
        assert str(size) in str(refused.value)


def test_run_and_encode_refuse_it_and_write_nothing(write, tiny_tokenizer, text_file, tmp_path, capsys):
    path = write(tiny_tokenizer.vocab_size + 1, tiny_tokenizer.model_bytes)
    out = tmp_path / "x.evz"
    assert invoke(["run", str(path), "--data", str(text_file), "--out", str(tmp_path / "run")]) == EXIT_INPUT
    assert invoke(["encode", str(path), "--in", str(text_file), "--out", str(out)]) == EXIT_INPUT
    assert capsys.readouterr().err.count("do not belong together") == 2
    assert not out.exists()


def test_what_is_no_tokenizer_is_told_with_the_artifacts_path(write):
    path = write(24, b"not a sentencepiece model")
    with pytest.raises(ArtifactError, match="the tokenizer inside cannot be used") as refused:
        open_model(f"eva:{path}", CPU)
    assert str(path) in str(refused.value)
