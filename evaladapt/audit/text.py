"""Texts that the audit feeds to the engine: copies, parts of which are replaced by other ordinary tokens.

Ordinary means: a token that occurs in the text and is no BOS. Document boundaries stay where they are, because they are
public and decide when state is reset.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evaladapt.data.stream import TokenStream
from evaladapt.engine.source import TokenSource

Tokens = NDArray[np.int32]


def copy_of(stream: TokenStream) -> TokenStream:
    """The same text in an array of its own, which the audit may change while the engine runs."""
    return replace(stream, tokens=stream.tokens.copy())


def plain_text(tokens: Tokens, bos: int) -> TokenStream:
    """One document of ``tokens`` [N], with BOS before them; it has no bytes, because nobody asks for them."""
    size = len(tokens) + 1
    nothing = np.zeros(size, dtype=np.int32)
    return TokenStream(
        tokens=np.concatenate([[bos], tokens]).astype(np.int32),
        byte_lengths=nothing,
        documents=nothing.copy(),
        name=f"{len(tokens)} tokens",
        sha256="",
        text_sha256="",
        text_bytes=0,
    )


def rewritten(stream: TokenStream, first: int, generator: np.random.Generator) -> TokenStream:
    """A copy in which every token from ``first`` on is another one."""
    text = copy_of(stream)
    text.tokens[first:] = others(stream, generator)[first:]
    return text


def others(source: TokenSource, generator: np.random.Generator) -> Tokens:
    """For every token another ordinary one, drawn uniformly; BOS stays BOS, and so does a text of one token only."""
    tokens = source.tokens
    bos = tokens[0]
    ordinary = np.unique(tokens[1:][tokens[1:] != bos])
    if len(ordinary) < 2:
        return tokens.copy()
    index = np.searchsorted(ordinary, tokens) % len(ordinary)
    step = generator.integers(1, len(ordinary), len(tokens))
    return np.where(tokens == bos, tokens, ordinary[(index + step) % len(ordinary)]).astype(np.int32)
