"""Texts that the audit feeds to the engine: copies, parts of which are replaced by other ordinary tokens.

Ordinary means: a token that occurs in the text and is no BOS. Document boundaries stay where they are, because they are
public and decide when state is reset.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaladapt.judge.charging import HeldText

Tokens = NDArray[np.int32]


@dataclass(frozen=True)
class ChangedText:
    """A copy of a text in an array of its own, which the audit may change while the engine runs."""

    name: str
    tokens: Tokens
    documents: Tokens

    @property
    def targets(self) -> int:
        """N."""
        return len(self.tokens) - 1


def copy_of(text: HeldText) -> ChangedText:
    """The same text, to be changed."""
    return ChangedText(text.name, text.tokens.copy(), text.documents)


def plain_text(tokens: Tokens, bos: int) -> ChangedText:
    """One document of ``tokens`` [N], with BOS before them."""
    whole = np.concatenate([[bos], tokens]).astype(np.int32)
    return ChangedText(f"{len(tokens)} tokens", whole, np.zeros(len(whole), dtype=np.int32))


def rewritten(stream: HeldText, first: int, generator: np.random.Generator) -> ChangedText:
    """A copy in which every token from ``first`` on is another one."""
    text = copy_of(stream)
    text.tokens[first:] = others(stream, generator)[first:]
    return text


def others(source: HeldText, generator: np.random.Generator) -> Tokens:
    """For every token another ordinary one, drawn uniformly; BOS stays BOS, and so does a text of one token only."""
    tokens = source.tokens
    bos = tokens[0]
    ordinary = np.unique(tokens[1:][tokens[1:] != bos])
    if len(ordinary) < 2:
        return tokens.copy()
    index = np.searchsorted(ordinary, tokens) % len(ordinary)
    step = generator.integers(1, len(ordinary), len(tokens))
    return np.where(tokens == bos, tokens, ordinary[(index + step) % len(ordinary)]).astype(np.int32)
