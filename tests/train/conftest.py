"""A tokenizer and two tiny shard folders, made once."""

from pathlib import Path

import numpy as np
import pytest

from evaladapt.data.shards import write_shard
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers.sentencepiece import train_tokenizer

WORDS = ("the", "river", "carries", "small", "boats", "down", "to", "a", "quiet", "harbour", "where", "they", "rest")


def toy_text(seed: int, sentences: int) -> str:
    """Sentences whose words follow each other by a fixed rule with a few random choices: easy to learn."""
    generator = np.random.default_rng(seed)
    starts = generator.integers(len(WORDS), size=sentences)
    return " ".join(" ".join(WORDS[(start + 3 * k) % len(WORDS)] for k in range(6)) + "." for start in starts)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return train_tokenizer([toy_text(0, 200)], vocab_size=300)


@pytest.fixture(scope="session")
def shard_folders(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("shards")
    for number, name in enumerate(("web", "novels")):
        for split, sentences in (("train", 400), ("val", 60)):
            ids = tokenizer.encode(toy_text(10 * number + len(split), sentences))
            write_shard(root / name / f"{split}_000000.bin", np.concatenate(([tokenizer.bos_id], ids)))
    return root / "web", root / "novels"
