"""Where documents start, as bytes: the gaps between their BOS tokens as base-128 numbers, low digits first.

A coded text holds them, and a score pays for them; one document takes nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaladapt.errors import DataError

DIGIT, MORE = 0x7F, 0x80
MOST_SHIFT = 35


def pack_boundaries(starts: NDArray[np.int64]) -> bytes:
    """Stream indices of all BOS tokens, ascending from 0, as bytes."""
    packed = bytearray()
    for gap in np.diff(starts).tolist():
        while gap >= MORE:
            packed.append(gap & DIGIT | MORE)
            gap >>= 7
        packed.append(gap)
    return bytes(packed)


def unpack_boundaries(table: bytes, targets: int) -> NDArray[np.int64]:
    """What :func:`pack_boundaries` packed, for a text of so many targets.

    Raises:
        DataError: it is something else.
    """
    starts, gap, shift = [0], 0, 0
    for byte in table:
        gap |= (byte & DIGIT) << shift
        shift += 7
        if byte < MORE:
            starts.append(starts[-1] + gap)
            gap = shift = 0
            if starts[-1] > targets or starts[-1] == starts[-2]:
                raise DataError("the table of documents does not fit its text")
        elif shift > MOST_SHIFT:
            raise DataError("the table of documents holds a number that is too large")
    if shift:
        raise DataError("the table of documents ends inside a number")
    return np.array(starts, dtype=np.int64)
