import pytest

from evaladapt.data.tokenizers.sentencepiece import train_tokenizer
from evaladapt.train.checkpoint import NamedTensors, write_tensors
from tests.artifact.golden_input import GOLDEN
from tests.tiny import tiny_model


@pytest.fixture(scope="session")
def golden() -> bytes:
    return GOLDEN.read_bytes()


@pytest.fixture(scope="session")
def training(tmp_path_factory):
    """A folder as the trainer leaves it."""
    folder = tmp_path_factory.mktemp("training")
    tokenizer = train_tokenizer(["a quick brown fox jumps over a lazy dog. " * 20], 300)
    model = tiny_model(vocabulary=tokenizer.vocab_size)
    facts = {"model": model.config.to_dict(), "tokenizer_sha256": tokenizer.sha256, "steps": 7}
    write_tensors(folder / "final.safetensors", NamedTensors(dict(model.named_parameters()), facts))
    (folder / "tokenizer.model").write_bytes(tokenizer.model_bytes)
    return folder
