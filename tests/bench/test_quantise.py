import json

import pytest

from evaladapt.bench.quantise import SCHEMES, QuantiseRow, run
from evaladapt.bench.report import BenchSettings
from evaladapt.data.tokenizers.sentencepiece import train_tokenizer
from evaladapt.errors import UsageError
from evaladapt.train.checkpoint import NamedTensors, write_tensors
from tests.tiny import tiny_model

WORDS = "a quick brown fox jumps over a lazy dog. "


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    tokenizer = train_tokenizer([WORDS * 20], 300)
    model = tiny_model(vocabulary=tokenizer.vocab_size)
    write_tensors(
        folder / "final.safetensors", NamedTensors(dict(model.named_parameters()), {"model": model.config.to_dict()})
    )
    (folder / "tokenizer.model").write_bytes(tokenizer.model_bytes)
    (folder / "text.txt").write_text(WORDS * 10)
    return folder


def test_one_line_for_each_scheme_and_one_for_the_weights_as_trained(training):
    report = run(BenchSettings(weights=training, data=(training / "text.txt",)))
    assert [row.name for row in report.rows] == ["float32", *(scheme.name for scheme in SCHEMES)]
    assert report.rows[0].loss == 0
    assert report.rows[0].evaladapt is None
    text = report.to_text()
    for row in report.rows[1:]:
        assert f"| {row.name} | {row.bits_per_byte:.4f} |" in text
        assert row.evaladapt is not None
    assert json.loads(json.dumps(report.to_json()))["numbers"] == 300 * 16


def test_the_saving_is_against_the_better_of_the_others():
    assert QuantiseRow("x", 1.0, 0.0, 110, 100, 97).saving == pytest.approx(0.03)
    assert QuantiseRow("x", 1.0, 0.0, 100, 110, 105).saving == pytest.approx(-0.05)


def test_what_is_missing_is_named(training):
    with pytest.raises(UsageError, match="--weights"):
        run(BenchSettings())
    with pytest.raises(UsageError, match="more than 16 tokens"):
        run(BenchSettings(weights=training, data=(training / "text.txt",), limit_tokens=5))
