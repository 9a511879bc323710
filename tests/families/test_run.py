"""Models of other families go through a sealed player like artifacts, and their scores are scores."""

import json

import pytest

from evaladapt.cli.main import invoke
from tests.families.naive_golf import random_weights, saved

TEXT = "the cat sat on the mat and the dog ran to the cat and the dog sat down. " * 3


@pytest.fixture
def given(tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    return ["--data", "text.txt", "--plugins", "bias", "--out", "run", "--json", "-o", "sliding.context=32"]


def test_a_folder_is_run_sealed(folder_of, given, capsys):
    folder, _ = folder_of("llama")
    assert invoke(["run", f"hf:{folder}", *given]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["verdict"] == "CAUSAL"
    assert record["artifact"]["path"] == f"hf:{folder}"


def test_a_checkpoint_is_run_sealed_from_a_relative_path(given, tmp_path, tiny_tokenizer, capsys):
    (tmp_path / "tokens.model").write_bytes(tiny_tokenizer.model_bytes)
    (tmp_path / "m.pt").write_bytes(saved(random_weights(tiny_tokenizer.vocab_size)))
    assert invoke(["run", "golf:m.pt,context=64", *given]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["verdict"] == "CAUSAL"
    assert "tokens.model" in record["artifact"]["path"]
