"""GPTQ: rounding column by column, each column's error made good by the columns still to come.

Frantar et al. 2022 (arXiv 2210.17323). What counts is the error of the layer's output, ``tr(E H E^T)`` with ``H`` the
second moment of the layer's inputs, so the error of one column may be taken back by others that see similar inputs.
Damped once; columns with loud inputs first; the updates of later columns are gathered in blocks. With the Cholesky
factor ``U`` of ``H^-1 = U^T U``, row ``j`` of ``U`` over its diagonal is how an error in column ``j`` is best spread
over the columns after it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaladapt.artifact.quantize import Codes, Float32, Grid, QuantizedMatrix

BLOCK = 128
ROWS = 4096
DAMPING = 0.01
"""Of the mean of the diagonal, added to it."""

Float64 = npt.NDArray[np.float64]


def gptq(
    weights: Float32, grid: Grid, hessian: Float32 | Float64, damping: float = DAMPING, block: int = BLOCK
) -> QuantizedMatrix:
    """Quantise ``weights [R, C]`` for inputs with the second moment ``hessian [C, C]`` (any scale).

    Inputs that never occur (a zero on the diagonal) get the nearest codes. Rows do not know of each other, so they are
    taken some at a time: a table of 50,000 tokens is never there in float64.
    """
    order = np.argsort(-np.diag(hessian).astype(np.float64), kind="stable")
    spread = _spread(hessian[np.ix_(order, order)].astype(np.float64), damping)
    steps = np.broadcast_to(grid.steps.astype(np.float64), (len(weights), 1))[:, 0]
    codes: Codes = np.empty(weights.shape, np.int8)
    for first in range(0, len(weights), ROWS):
        rows = slice(first, first + ROWS)
        codes[rows, order] = _rounded(weights[rows, order].astype(np.float64), steps[rows], grid.largest, spread, block)
    return QuantizedMatrix(codes, grid)


def _rounded(left: Float64, steps: Float64, largest: int, spread: Float64, block: int) -> Codes:
    """Codes of some rows ``[R, C]``, their columns in the order of ``spread``; ``left`` is used up."""
    codes: Codes = np.empty(left.shape, np.int8)
    for start in range(0, left.shape[1], block):
        stop = min(start + block, left.shape[1])
        errors = np.empty((len(left), stop - start))
        for column in range(start, stop):
            chosen = np.clip(np.rint(left[:, column] / steps), -largest, largest)
            error = left[:, column] - chosen * steps
            left[:, column + 1 : stop] -= np.outer(error, spread[column, column + 1 : stop])
            codes[:, column], errors[:, column - start] = chosen, error
        left[:, stop:] -= errors @ spread[start:stop, stop:]
    return codes


def _spread(hessian: Float64, damping: float) -> Float64:
    """Rows of the Cholesky factor over their diagonal: ``[j, k]`` is the share of column j's error that k takes."""
    diagonal = np.diag(hessian)
    absent = diagonal <= 0
    damped = hessian + np.diag(np.where(absent, 1.0, damping * diagonal.mean()))
    if not diagonal.any():
        return np.eye(len(hessian))
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    shares: Float64 = factor / np.diag(factor)[:, None]
    return shares
