"""What a difference between two compositions says: p values, Holm's correction, and the contest's test.

Everything stands on :func:`evaladapt.engine.paired.paired_difference`: the jackknife's standard error over documents,
and Student's distribution with the effective number of documents less one as degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaladapt.engine.paired import FEWEST_EFFECTIVE, PairedDifference, paired_difference, student_tail

CONTEST_NATS = 0.005
"""What a target has to gain for a record in the contest."""
CONTEST_LEVEL = 0.01


@dataclass(frozen=True)
class ContestTest:
    """The contest's bar: a gain of more than :data:`CONTEST_NATS` a target, tested on one side, over documents.

    Attributes:
        nats: gained a target; positive is better.
        needed_bpb: what :data:`CONTEST_NATS` a target are in bits per byte on this text.
        p: that so much is gained by chance where no more than the bar is; None where documents are too few to say.
    """

    nats: float
    needed_bpb: float
    p: float | None

    @property
    def passed(self) -> bool:
        """Whether it is a record at the contest's level, p < 0.01."""
        return self.p is not None and self.p < CONTEST_LEVEL


def p_value(difference: PairedDifference) -> float | None:
    """That a difference of this size or more, on either side, is there by chance; None where nothing can be said."""
    t, freedom = _t(difference, 0.0)
    return None if t is None else min(1.0, 2 * student_tail(abs(t), freedom))


def contest_test(
    before_nats: NDArray[np.float64],
    after_nats: NDArray[np.float64],
    document_targets: NDArray[np.int64],
    document_bytes: NDArray[np.int64],
) -> ContestTest:
    """Hold the gain of ``after`` over ``before`` against the bar; all arrays are by document."""
    by_target = paired_difference(before_nats, after_nats, document_targets)
    t, freedom = _t(by_target, CONTEST_NATS / math.log(2))
    needed = CONTEST_NATS / math.log(2) * int(document_targets.sum()) / int(document_bytes.sum())
    return ContestTest(-by_target.bpb * math.log(2), needed, None if t is None else student_tail(-t, freedom))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """P values of a family of tests, adjusted by Holm's step-down method; None stays None and counts for nothing.

    The k-th smallest of m is multiplied by m − k + 1, and none is below a smaller one's (Holm 1979).
    """
    known = sorted((value, place) for place, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    least = 0.0
    for before, (value, place) in enumerate(known):
        least = max(least, min(1.0, value * (len(known) - before)))
        adjusted[place] = least
    return adjusted


def _t(difference: PairedDifference, bar: float) -> tuple[float | None, float]:
    """Standard errors by which the change lies above ``-bar``, and the degrees of freedom."""
    freedom, error = difference.effective_documents - 1, difference.standard_error
    if error is None or difference.effective_documents < FEWEST_EFFECTIVE:
        return None, freedom
    above = difference.bpb + bar
    if error == 0:
        return (0.0 if above == 0 else math.copysign(math.inf, above)), freedom
    return above / error, freedom
