"""Tables of symbol frequencies that take one byte per symbol and give the same integers on every machine.

A byte ``L`` below 240 stands for the weight ``2**(30 - L/8)``, rounded down by integer arithmetic; 255 stands for a
symbol that does not occur. The weights are then scaled to integer frequencies that sum to ``2**24``. One step of an
eighth of a bit costs about 0.0005 bits per symbol against exact frequencies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from evaladapt.artifact.problems import DamagedArtifact
from evaladapt.errors import EvaladaptError

TOTAL = 1 << 24
ABSENT = 255
LAST_STEP = 239
STEPS_PER_BIT = 8
EIGHTHS = (1073741824, 984625594, 902905666, 827968134, 759250125, 696235434, 638450708, 585461913)
"""``2**(30 - i/8)`` rounded to integers."""

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


def table_from_counts(counts: Ints) -> Bytes:
    """One byte per symbol that describes ``counts`` best."""
    if not counts.any():
        return np.zeros(len(counts), np.uint8)
    below_peak = np.log2(counts.max() / np.maximum(counts, 1)) * STEPS_PER_BIT
    steps = np.minimum(np.rint(below_peak), LAST_STEP)
    return np.where(counts > 0, steps, ABSENT).astype(np.uint8)


def frequencies(table: Bytes) -> Ints:
    """Integer frequencies ``[A]``, each at least 1, with sum ``2**24``. ``A`` is the alphabet's size.

    Raises:
        DamagedArtifact: the table has a byte that means nothing, or no symbol at all.
    """
    if ((table > LAST_STEP) & (table != ABSENT)).any() or (table == ABSENT).all():
        raise DamagedArtifact("a frequency table holds an invalid byte or no symbol")
    steps = table.astype(np.int64)
    weights = np.array(EIGHTHS, np.int64)[steps % STEPS_PER_BIT] >> (steps // STEPS_PER_BIT)
    weights[table == ABSENT] = 0
    return share_total(weights)


def share_total(weights: Ints) -> Ints:
    """Frequencies in proportion to integer ``weights [A]`` up to 2**30, each at least 1, with sum ``2**24``."""
    spare = TOTAL - len(weights)
    result: Ints = 1 + weights * spare // int(weights.sum())
    result[int(np.argmax(weights))] += TOTAL - int(result.sum())
    return result


def coded_bits(counts: Ints, table: Bytes) -> float:
    """Length of the symbols counted in ``counts`` under ``table``, without the table itself."""
    if not counts.any():
        return 0.0
    return float((counts * (np.log2(TOTAL) - np.log2(frequencies(table)))).sum())


def entropy_model(table: Bytes) -> Any:
    """The constriction model with exactly the frequencies of ``table``."""
    return exact_model(frequencies(table))


def exact_model(counts: Ints) -> Any:
    """The constriction model with exactly these frequencies ``[A]``.

    constriction gives every symbol 1 and shares out the remaining ``2**24 - A`` in proportion to the numbers it is
    given. They are integers with just that sum, in float64, so nothing is rounded.
    """
    spread = (counts - 1).astype(np.float64)
    return constriction().model.Categorical(spread, perfect=False)


def constriction() -> Any:
    """The package's ``stream`` module, imported when the first code is coded: listing an artifact needs it not."""
    try:
        import constriction as package
    except ImportError as error:
        raise EvaladaptError(
            "Coding weights needs the package 'constriction', which is not installed: pip install 'constriction>=0.4.2'"
        ) from error
    return package.stream
