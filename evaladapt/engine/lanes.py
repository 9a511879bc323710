"""Two lanes go through the transforms side by side: the span to be scored, and the past that somebody still reads."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from evaladapt.contract.views import Past, Query
from evaladapt.engine.keeper import PADDING
from evaladapt.engine.parts import Part


@dataclass
class Lane:
    """Hidden states [B,C,D] and logits [B,C,V] at some positions of every row, as the strategies so far leave them."""

    query: Query
    hidden: Tensor
    logits: Tensor | None = None


def but_last(valid: Tensor) -> Tensor:
    """The same mask without its last true entry, in row-major order, which is the stream's."""
    return valid & (valid.flatten().cumsum(0).view(valid.shape) < valid.sum())


def gather(hidden: Tensor, positions: Tensor, part: Part) -> Tensor:
    """Hidden states [B,W,D] at the columns that predict the targets at ``positions`` [B,C]; zero in padding."""
    start = torch.tensor([window.start for window in part.windows], device=positions.device).unsqueeze(1)
    known = positions != PADDING
    columns = torch.where(known, positions - 1 - start, 0).unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
    return torch.gather(hidden, 1, columns) * known.unsqueeze(-1)


def first_row(view: Past) -> Past:
    """The past of the batch's first row: all that state shared by the rows may know."""
    tensors = (view.tokens, view.targets, view.visible, view.positions, view.in_span)
    return Past(*(tensor[:1].clone() for tensor in tensors))
