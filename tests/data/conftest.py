from __future__ import annotations

from pathlib import Path

import pytest

from evaladapt.data.default_text import default_documents
from evaladapt.data.tokenizer import Tokenizer
from evaladapt.data.tokenizers.sentencepiece import SentencePieceTokenizer, train_tokenizer

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A lossless tokenizer of our own making, small enough to train in a moment."""
    return train_tokenizer(default_documents()[:8], 400)


@pytest.fixture(scope="session")
def data() -> Path:
    """The development data beside the checkout."""
    if not DATA.is_dir():
        pytest.skip("the development data (../shared/data beside the checkout) is not here")
    return DATA


@pytest.fixture(scope="session")
def contest_tokenizer(data: Path) -> Tokenizer:
    return SentencePieceTokenizer.load(data / "tokenizers" / "fineweb_1024_bpe.model")
