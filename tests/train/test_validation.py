import math

import numpy as np
import pytest
import torch

from evaladapt.data.building import stream_from_documents
from evaladapt.data.tokenizer import TokenIds, Tokenizer
from evaladapt.errors import DataError
from evaladapt.model.config import ModelConfig
from evaladapt.model.transformer import Transformer
from evaladapt.train.validation import bits_per_byte, held_out
from tests.data.models import other_tokenizer

CONFIG = ModelConfig(vocab_size=20, layers=1, width=16, heads=2, kv_heads=1, mlp_width=32, context=8)
PIECES = [b"", *[b"ab"] * 9, *[b"xyz"] * 10]


class MadeUp(Tokenizer):
    """No more than its pieces."""

    vocab_size = 20
    bos_id = 0
    sha256 = "made up"
    piece_bytes = PIECES
    special_ids = frozenset({0})

    def encode(self, text: str) -> TokenIds:
        raise NotImplementedError


def test_an_even_prediction_costs_log_v_bits_a_token() -> None:
    model = Transformer(CONFIG)
    with torch.no_grad():
        model.embedding.zero_()
    shard = np.tile(np.array([0, 1, 10, 11], dtype=np.uint16), 50)
    data = held_out("toy", [shard], 8, 80, MadeUp())
    assert data.windows.shape == (10, 9)
    assert data.text_bytes == 10 * 2 * (0 + 2 + 3 + 3)
    assert bits_per_byte(model, data, torch.device("cpu")) == pytest.approx(80 * math.log2(20) / data.text_bytes)


def test_every_target_counts_once() -> None:
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    shard = np.random.default_rng(0).integers(20, size=400).astype(np.uint16)
    data = held_out("toy", [shard], 8, 10**6, MadeUp())
    targets = data.windows[:, 1:].flatten()
    assert np.array_equal(targets, shard[1 : 1 + len(targets)])
    nats = 0.0
    for window in data.windows:
        logprobs = model(torch.from_numpy(window[None, :-1])).double().log_softmax(-1)[0]
        nats -= float(logprobs[torch.arange(8), torch.from_numpy(window[1:])].sum().detach())
    expected = nats / math.log(2) / sum(len(PIECES[token]) for token in targets)
    assert bits_per_byte(model, data, torch.device("cpu")) == pytest.approx(expected, rel=1e-5)


def test_too_little_held_out_text_is_told() -> None:
    with pytest.raises(DataError, match="no val shard has 9 tokens"):
        held_out("toy", [np.zeros(8, dtype=np.uint16)], 8, 100, MadeUp())


def test_training_counts_the_bytes_that_a_run_counts() -> None:
    tokenizer = other_tokenizer()
    stream = stream_from_documents(["the cat sat on the mat", "the dog ran"] * 40, tokenizer, "text")
    assert tokenizer.drops_leading_space
    kept = (len(stream.tokens) - 1) // 8 * 8
    data = held_out("toy", [stream.tokens.astype(np.uint16)], 8, 10**6, tokenizer)
    assert data.text_bytes == int(stream.byte_lengths[1 : kept + 1].sum())
