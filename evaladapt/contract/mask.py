"""The causality mask, built here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evaladapt.contract.capabilities import Scope
from evaladapt.contract.views import Window


def frontier(windows: Sequence[Window]) -> int:
    """The first target of a batch: all before it are in the ledger, none from it on."""
    return windows[0].score_from


def causality_mask(
    positions: Tensor, windows: Sequence[Window], scope: Scope, *, document_start: int = 0, peeks: bool = False
) -> Tensor:
    """Mark the targets that a strategy may learn from.

    Args:
        positions: [B,P] int64, stream index of the target at every column, negative in padding.
        windows: the rows of the batch, in stream order.
        scope: of the strategy's state. ``window`` ends at the row's own score span; shared state ends at the frontier
            too, because one row's past is another row's score span.
        document_start: BOS of the frontier's document; state of scope ``document`` learns from nothing before it.
        peeks: the strategy declared that it wants its own score span; the run is then no score.

    Returns:
        [B,P] bool.
    """
    if peeks:
        limits = [window.score_to for window in windows]
    elif scope == "window":
        limits = [window.score_from for window in windows]
    else:
        limits = [min(window.score_from, frontier(windows)) for window in windows]
    limit = torch.tensor(limits, device=positions.device).unsqueeze(1)
    floor = document_start + 1 if scope == "document" else 1
    starts = torch.tensor([window.start for window in windows], device=positions.device).unsqueeze(1)
    return (positions > starts) & (positions >= floor) & (positions < limit)
