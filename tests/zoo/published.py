"""Which probe sees which published leak, measured.

Every scorer of ``published_leaks`` is a black box here. A flip changes one token and what follows it, and asks whether
an earlier number moved; a truncation cuts the text and asks whether what remains moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.zoo.published_leaks import BIGRAMS, HONEST, LEAKS, V, log_softmax
from tests.zoo.scorers import bits_saved, free_bits, swapped_sum

KRAFT_LENGTH = 6
TRIALS, TRIAL_LENGTH, COVERAGE_LENGTH = 12, 12, 40
HYPER_LENGTH = 400
MOVED = 1e-9


@dataclass(frozen=True)
class Row:
    """What every probe measured on one scorer.

    Attributes:
        free_bits: KRAFT over texts of 6 tokens.
        flip: share of flips that moved an earlier score.
        trunc: share of truncations that moved a score that remained.
        tok: largest sum over the values of a target.
        unscored: of 40 targets.
        hyper: bits saved on texts the frozen model wrote, mean.
    """

    name: str
    honest: bool
    free_bits: float
    flip: float
    trunc: float
    tok: float
    unscored: int
    hyper: float

    @property
    def convicted_by(self) -> tuple[str, ...]:
        """Probes whose measure no honest code gives."""
        seen = {"KRAFT": self.free_bits > 1e-6, "TOK": self.tok > 1 + 1e-6, "LEDGER": self.unscored > 0,
                "HYPER": self.hyper > 20}  # fmt: skip
        return tuple(name for name, convicts in seen.items() if convicts)


def measured_table(
    announce: Callable[[Row, int, int], None] | None = None, *, hyper_texts: int = 10, kraft_length: int = KRAFT_LENGTH
) -> list[Row]:
    """Measure all scorers; ``announce`` is called after each."""
    scorers = [(name, True, score) for name, score in HONEST.items()]
    scorers += [(name, False, score) for name, score in LEAKS.items()]
    rows = []
    for number, (name, honest, score) in enumerate(scorers, 1):
        rows.append(measured(name, honest, score, hyper_texts, kraft_length))
        if announce:
            announce(rows[-1], number, len(scorers))
    return rows


def measured(name: str, honest: bool, score: Callable, hyper_texts: int, kraft_length: int) -> Row:
    """One row."""
    generator = np.random.default_rng(5)
    texts = [generator.integers(0, V, TRIAL_LENGTH).astype(np.int32) for _ in range(TRIALS)]
    spots = [int(one) for one in generator.integers(2, TRIAL_LENGTH - 1, TRIALS)]
    return Row(
        name=name,
        honest=honest,
        free_bits=free_bits(score, V, kraft_length),
        flip=float(np.mean([_flipped_moves(score, x, at) for x, at in zip(texts, spots, strict=True)])),
        trunc=float(np.mean([_cut_moves(score, x, at) for x, at in zip(texts, spots, strict=True)])),
        tok=max(swapped_sum(score, x, at, range(V)) for x, at in zip(texts, spots, strict=True)),
        unscored=int(np.isnan(score(generator.integers(0, V, COVERAGE_LENGTH).astype(np.int32))).sum()),
        hyper=float(np.mean([bits_saved(score, *_written(generator)) for _ in range(hyper_texts)])),
    )


def _flipped_moves(score: Callable, x: NDArray[np.int32], at: int) -> bool:
    changed = x.copy()
    changed[at:] = (changed[at:] + 1) % V
    return _moved(score(x)[:at], score(changed)[:at])


def _cut_moves(score: Callable, x: NDArray[np.int32], at: int) -> bool:
    return _moved(score(x)[:at], score(x[:at]))


def _moved(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    return bool((np.abs(np.nan_to_num(before) - np.nan_to_num(after)) > MOVED).any())


def _written(generator: np.random.Generator) -> tuple[NDArray[np.int32], float]:
    """A text drawn from the frozen bigrams, and its cost under them in nats."""
    logprobs, last, nats = log_softmax(BIGRAMS), V, 0.0
    text = np.empty(HYPER_LENGTH, dtype=np.int32)
    for at in range(HYPER_LENGTH):
        text[at] = generator.choice(V, p=np.exp(logprobs[last]))
        nats -= float(logprobs[last, text[at]])
        last = int(text[at])
    return text, nats
