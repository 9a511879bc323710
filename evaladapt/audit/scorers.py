"""Anything that turns a text into a number per target, and what can be asked of it without looking inside.

A composition in the engine is one; so is a stranger's script that only prints losses, which is how the published leaks
came. Tokens [T] are the targets; the answer is nats [T], with nan where a target was not scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from evaladapt.audit.subject import Subject, capture
from evaladapt.audit.text import plain_text
from evaladapt.audit.toy import BOS

Nats = NDArray[np.float64]
Scorer = Callable[[NDArray[np.int32]], Nats]


def engine_scorer(subject: Subject, bos: int = BOS) -> Scorer:
    """What the engine charges for a text of one document."""

    def score(tokens: NDArray[np.int32]) -> Nats:
        text = plain_text(tokens, bos)
        return -capture(subject, text).charged(text.tokens)

    return score


def all_texts(vocabulary: int, length: int) -> Iterable[NDArray[np.int32]]:
    """Every text of ``length`` tokens."""
    return (np.array(one, dtype=np.int32) for one in product(range(vocabulary), repeat=length))


def free_bits(score: Scorer, vocabulary: int, length: int) -> float:
    """Binary logarithm of ``Σ_x exp(−nats(x))`` over all texts of a length.

    By the inequality of Kraft (1949) and McMillan (1956) no code does better than 0; what is above it are bits that
    nobody paid for.
    """
    return float(np.log2(sum(np.exp(-np.nansum(score(text))) for text in all_texts(vocabulary, length))))


def swapped_sum(score: Scorer, text: NDArray[np.int32], target: int, values: Iterable[int]) -> float:
    """``Σ_v exp(−nats)`` of one target (counted from 0) over texts that differ in that target's value only.

    One distribution that was there before the target gives at most 1, so any subset of values above 1 convicts.
    """
    total = 0.0
    for value in values:
        changed = text.copy()
        changed[target] = value
        nats = score(changed)[target]
        total += 1.0 if np.isnan(nats) else float(np.exp(-nats))
    return total


def bits_saved(score: Scorer, text: NDArray[np.int32], source_nats: float) -> float:
    """How many bits less than its own author a scorer needs for a text: at least b with probability at most 2^-b."""
    return float((source_nats - np.nansum(score(text))) / np.log(2))
