"""The published leaks as somebody's own scripts: they hold the whole text and return a number per target.

In the engine these cannot be written, which is its point; here they are black boxes for the probes that need only
numbers. The frozen model is a table of bigrams over three tokens, adaptation fits a bias on the logits, and a chunk has
two targets. Names follow the list of leaks in the project's notes (L02 and so on); thread numbers are those of the
contest's repository.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Nats = NDArray[np.float64]
Scorer = Callable[[NDArray[np.int32]], Nats]
V = 3
CHUNK = 2
CONTEXT = 8
Ids = NDArray[np.int32]
Floats = NDArray[np.float64]

BIGRAMS: Floats = np.random.default_rng(17).normal(size=(V + 1, V)) * 1.2
"""Logits after every token, and in the last row those of the first target."""


def frozen_logits(x: Ids) -> Floats:
    """[T,V]."""
    logits: Floats = BIGRAMS[np.concatenate([[V], x[:-1]])]
    return logits


def log_softmax(z: Floats) -> Floats:
    """Over the last axis."""
    shifted = z - z.max(axis=-1, keepdims=True)
    logs: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs


def nats_of(logprobs: Floats, y: Ids) -> Nats:
    """What targets cost."""
    return -logprobs[np.arange(len(y)), y]


def fitted(z: Floats, y: Ids, start: Floats, *, steps: int = 4, rate: float = 0.6) -> Floats:
    """A bias after a few steps of gradient descent on targets ``y`` under logits ``z``."""
    bias = start.copy()
    for _ in range(steps if len(y) else 0):
        expected = np.exp(log_softmax(z + bias)).mean(axis=0)
        bias += rate * (np.bincount(y, minlength=V) / len(y) - expected)
    return bias


def chunks(length: int) -> Iterator[slice]:
    """Chunks of a text, in order."""
    return (slice(first, min(first + CHUNK, length)) for first in range(0, length, CHUNK))


def static(x: Ids) -> Nats:
    """The frozen model."""
    return nats_of(log_softmax(frozen_logits(x)), x)


def score_first(x: Ids, rate: Callable[[float], float] = lambda share: 0.6) -> Nats:
    """Score a chunk, then train on it."""
    z, bias, nats = frozen_logits(x), np.zeros(V), np.empty(len(x))
    for part in chunks(len(x)):
        nats[part] = nats_of(log_softmax(z[part] + bias), x[part])
        bias = fitted(z[part], x[part], bias, rate=rate(part.start / len(x)))
    return nats


def score_first_cosine(x: Ids) -> Nats:
    """The same with a learning rate that falls over the declared length."""
    return score_first(x, lambda share: 0.3 * (1 + math.cos(math.pi * share)))


def context_only(x: Ids) -> Nats:
    """A bias per chunk, fitted to the targets before it."""
    z, nats = frozen_logits(x), np.empty(len(x))
    for part in chunks(len(x)):
        before = slice(max(0, part.start - CONTEXT), part.start)
        nats[part] = nats_of(log_softmax(z[part] + fitted(z[before], x[before], np.zeros(V))), x[part])
    return nats


def _mixed(model: Floats, counts: Floats) -> Floats:
    share: Floats = 0.7 * np.exp(model) + 0.3 * counts / counts.sum(axis=-1, keepdims=True)
    return np.log(share)


def _counts_before(x: Ids) -> Floats:
    """[T,V], one more than how often every token came before each target."""
    seen = np.cumsum(np.eye(V)[x], axis=0)
    counts: Floats = 1.0 + np.concatenate([np.zeros((1, V)), seen[:-1]])
    return counts


def count_mixture(x: Ids) -> Nats:
    """Counts of the prefix, normalised, mixed in."""
    return nats_of(_mixed(log_softmax(frozen_logits(x)), _counts_before(x)), x)


def reverse_order(x: Ids) -> Nats:
    """A code, though of the text read backwards."""
    return static(x[::-1])[::-1]


def fit_first(x: Ids) -> Nats:
    """L02, #1376: train on the text, then score it."""
    z = frozen_logits(x)
    return nats_of(log_softmax(z + fitted(z, x, np.zeros(V))), x)


def adapt_then_score(x: Ids) -> Nats:
    """L03, #568: train on a chunk, then report its loss."""
    z, bias, nats = frozen_logits(x), np.zeros(V), np.empty(len(x))
    for part in chunks(len(x)):
        bias = fitted(z[part], x[part], bias)
        nats[part] = nats_of(log_softmax(z[part] + bias), x[part])
    return nats


def scored_region(x: Ids) -> Nats:
    """L08, #1319: a bias per window, fitted to the very targets that are scored."""
    z, nats = frozen_logits(x), np.empty(len(x))
    for part in chunks(len(x)):
        nats[part] = nats_of(log_softmax(z[part] + fitted(z[part], x[part], np.zeros(V), steps=12)), x[part])
    return nats


def shared_context(x: Ids) -> Nats:
    """L10, #1350: one bias for overlapping windows, each masked causally by itself."""
    z, nats, rows = frozen_logits(x), np.empty(len(x)), 3 * CHUNK
    for first in range(0, len(x), rows):
        last = min(first + rows, len(x))
        before = slice(max(0, first - CONTEXT), max(first, last - CHUNK))
        nats[first:last] = nats_of(
            log_softmax(z[first:last] + fitted(z[before], x[before], np.zeros(V), steps=12)), x[first:last]
        )
    return nats


def better_of_two(x: Ids) -> Nats:
    """L16, #659: per target whichever is better, so that it can never hurt."""
    counts = _counts_before(x)
    return np.minimum(static(x), nats_of(np.log(counts / counts.sum(axis=1, keepdims=True)), x))


def one_bucket(x: Ids) -> Nats:
    """L17, #727: hashed counts looked up for the true target only; one bucket makes the ratio 1."""
    ratio = np.where(np.arange(len(x)) > 0, 1.0, 0.0)
    probability = np.exp(-static(x))
    return -np.log(np.where(ratio > 0, 0.7 * probability + 0.3 * ratio, probability))


def class_gate(x: Ids) -> Nats:
    """L24, #2041: a hint from the prefix, renormalised, but given only where the target is of the hint's class."""
    z, counts = frozen_logits(x), _counts_before(x)
    hint = np.eye(V)[1 + counts[:, 1:].argmax(axis=1)] * (x != 0)[:, None]
    return nats_of(log_softmax(z + hint), x)


def two_pass(x: Ids) -> Nats:
    """L25, #846: counts of the whole text, then score."""
    counts = np.tile(0.2 + np.bincount(x, minlength=V), (len(x), 1))
    return nats_of(_mixed(log_softmax(frozen_logits(x)), counts), x)


def best_of_eight(x: Ids) -> Nats:
    """L32: the best of eight runs."""
    biases = np.random.default_rng(8).normal(size=(8, V))
    runs = [nats_of(log_softmax(frozen_logits(x) + bias), x) for bias in biases]
    return min(runs, key=lambda nats: float(nats.sum()))


def drop_hard(x: Ids) -> Nats:
    """L30: hard targets are not counted."""
    nats = static(x)
    return np.where(nats > 1.4, np.nan, nats)


def byte_spread(x: Ids) -> Nats:
    """L21, #1835: the token's probability to the power 1/n for each of its n bytes, mixed with a byte model.

    The tokens are ``a``, ``ba`` and ``bb`` (of them ``a`` stands for the byte 0), and the byte model is as good as the
    token model: its shares are the latter's own marginals. Even so the tokens' products add up to more than one.
    """
    p = np.exp(log_softmax(frozen_logits(x)))
    first_b = p[:, 1] + p[:, 2]
    shares = np.stack([first_b, np.where(x == 1, p[:, 1], p[:, 2]) / first_b], axis=1)
    spread = np.sqrt(p[np.arange(len(x)), x])[:, None]
    two_bytes = np.log(0.5 * spread + 0.5 * shares).sum(axis=1)
    return -np.where(x == 0, np.log(p[:, 0]), two_bytes)


def sorted_order(x: Ids) -> Nats:
    """L27, #1610: chunks in an order that depends on the text, with state carried along it."""
    z, bias, nats = frozen_logits(x), np.zeros(V), np.empty(len(x))
    for part in sorted(chunks(len(x)), key=lambda one: (-int(x[one].sum()), one.start)):
        nats[part] = nats_of(log_softmax(z[part] + bias), x[part])
        bias = fitted(z[part], x[part], bias)
    return nats


HONEST: dict[str, Scorer] = {
    "ok static": static,
    "ok score-first TTT": score_first,
    "ok TTT, cosine over declared length": score_first_cosine,
    "ok context-only SLOT, one window per delta": context_only,
    "ok normalised count mixture": count_mixture,
    "odd: fixed reverse order": reverse_order,
}
LEAKS: dict[str, Scorer] = {
    "L02 fit on the text first": fit_first,
    "L03 adapt, then score": adapt_then_score,
    "L08 scored-region SLOT": scored_region,
    "L10 batch-shared 'causal' SLOT": shared_context,
    "L16 oracle minimum": better_of_two,
    "L17 hashed, target only, one bucket": one_bucket,
    "L25 two-pass counts": two_pass,
    "L24 target-class gate": class_gate,
    "L32 best of eight": best_of_eight,
    "L30 drop hard targets": drop_hard,
    "L21 geometric byte spread": byte_spread,
    "L27 sorted order with state": sorted_order,
}
