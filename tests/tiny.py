"""A tiny model and tiny streams, random but the same every time."""

import hashlib

import numpy as np
import torch

from evaladapt.data.stream import TokenStream
from evaladapt.engine.source import Text, TextShape
from evaladapt.model.config import ModelConfig
from evaladapt.model.transformer import Transformer

VOCABULARY = 24
CONTEXT = 16
BOS = 1


def tiny_model(seed: int = 0, vocabulary: int = VOCABULARY, context: int = CONTEXT) -> Transformer:
    """A transformer with weights large enough that every prediction depends on the whole window."""
    config = ModelConfig(
        vocab_size=vocabulary, layers=2, width=16, heads=2, kv_heads=1, mlp_width=32, context=context, qk_gain=3.0
    )
    model = Transformer(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.6)
    return model.requires_grad_(False)


def stream_of(*documents: list[int], name: str = "tiny") -> TokenStream:
    """A stream of the given documents (token ids without BOS), one byte a token."""
    tokens = np.array([token for document in documents for token in (BOS, *document)], dtype=np.int32)
    numbers = np.array([n for n, document in enumerate(documents) for _ in range(len(document) + 1)], dtype=np.int32)
    lengths = (tokens != BOS).astype(np.int32)
    return TokenStream(
        tokens=tokens,
        byte_lengths=lengths,
        documents=numbers,
        name=name,
        sha256=hashlib.sha256(tokens.tobytes()).hexdigest(),
        text_sha256="0" * 64,
        text_bytes=int(lengths.sum()),
    )


def random_stream(lengths: tuple[int, ...] = (37, 25), seed: int = 0, vocabulary: int = VOCABULARY) -> TokenStream:
    """Documents of random tokens that are neither BOS nor filler."""
    generator = np.random.default_rng(seed)
    return stream_of(*(generator.integers(2, vocabulary, size).tolist() for size in lengths))


def known_text(stream: TokenStream) -> Text:
    """The stream as an engine has it that was told all of it."""
    starts = np.flatnonzero(np.diff(stream.documents, prepend=-1)).tolist()
    text = Text(TextShape(stream.name, stream.targets, int(stream.tokens[0]), tuple(starts)))
    text.learn(0, stream.tokens)
    return text
