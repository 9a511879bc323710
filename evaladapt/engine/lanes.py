"""A part on its way through the stages: the targets to be predicted and, while somebody still reads it, the past.

Adaptation is staged: a strategy is fitted on the past as the strategies before it leave it. So two lanes go through the
transforms side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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


@dataclass
class Passage:
    """What was asked, and how far the strategies have brought it; every stage takes it and changes it.

    Attributes:
        part: the targets whose turn it is.
        span: their lane.
        past: the lane of what lies before them, where somebody reads it.
        logprobs: [B,S,V] of the targets, once the logits are final.
        read_out: logits [B,S,V] of the targets' hidden states as they are, where somebody asked for them already.
        normal: log-probabilities [B,S,V] of their logits as they are, likewise.
        trail: the distributions after every strategy so far, the frozen model's first; empty where nobody wants them.
    """

    part: Part
    span: Lane
    past: Lane | None = None
    logprobs: Tensor | None = None
    read_out: Tensor | None = None
    normal: Tensor | None = None
    trail: list[Tensor] = field(default_factory=list)

    @property
    def final_logits(self) -> Tensor:
        """Logits [B,S,V] of the targets."""
        if self.span.logits is None:
            raise RuntimeError("logits are read before the head was applied")
        return self.span.logits

    @property
    def final_logprobs(self) -> Tensor:
        """Log-probabilities [B,S,V] of the targets."""
        if self.logprobs is None:
            raise RuntimeError("distributions are read before the logits were normalised")
        return self.logprobs


def but_last(valid: Tensor) -> Tensor:
    """The same mask without its last true entry, in row-major order, which is the stream's."""
    return valid & (valid.flatten().cumsum(0).view(valid.shape) < valid.sum())


def first_column(part: Part, past: int) -> int:
    """The first column that somebody wants the state of: of a row's span or of the ``past`` columns before it."""
    spans = zip(part.windows, part.spans, strict=True)
    wanted = (min(span.first - 1, window.score_from - 1 - past) - window.start for window, span in spans)
    return max(0, min(wanted))


def gather(hidden: Tensor, first: int, positions: Tensor, part: Part) -> Tensor:
    """Hidden states at the columns that predict the targets at ``positions`` [B,C]; zero in padding.

    ``hidden`` [B,W-first,D] are those of the rows' columns from ``first`` on.
    """
    start = torch.tensor([window.start + first for window in part.windows], device=positions.device).unsqueeze(1)
    known = positions != PADDING
    columns = torch.where(known, positions - 1 - start, 0).unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
    return torch.gather(hidden, 1, columns) * known.unsqueeze(-1)


def first_row(view: Past) -> Past:
    """The past of the batch's first row: all that state shared by the rows may know."""
    tensors = (view.tokens, view.targets, view.visible, view.positions, view.in_span, view.documents)
    return Past(*(tensor[:1].clone() for tensor in tensors))
