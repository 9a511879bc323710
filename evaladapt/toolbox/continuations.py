"""What followed a context, sparsely: the answer of a count table (``counts``) and of the tokens nearby (``recency``).

Both return one ``Continuations`` per n-gram order, and ``recency.merged`` adds them up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaladapt.toolbox.key_index import Ints


@dataclass(frozen=True)
class Continuations:
    """For N contexts, the tokens that followed each and how often, as a list of entries sorted by context.

    ``rows`` (which context, 0..N-1), ``tokens`` and ``counts`` are int64 [M]; ``totals`` int64 [N] sums a context's
    counts and is 0 where the context has not been seen.
    """

    rows: Ints
    tokens: Ints
    counts: Ints
    totals: Ints

    @classmethod
    def none(cls, contexts: int) -> Continuations:
        """Nothing followed any of them."""
        empty = np.empty(0, dtype=np.int64)
        return cls(empty, empty, empty, np.zeros(contexts, dtype=np.int64))

    @classmethod
    def of(cls, contexts: int, rows: Ints, tokens: Ints, counts: Ints) -> Continuations:
        """With the totals summed from the entries."""
        totals = np.bincount(rows, weights=counts, minlength=contexts).astype(np.int64)
        return cls(rows, tokens, counts, totals)

    def variety(self) -> Ints:
        """How many entries each context has [N]: the different tokens that followed it."""
        return np.bincount(self.rows, minlength=len(self.totals))


def stretches(starts: NDArray[np.integer], lengths: NDArray[np.integer]) -> Ints:
    """The indices of many stretches of a flat array, one after another."""
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total)
