"""The keeper of the tokens: the only object of a run that reads the text, as far as it is known.

Everybody else gets copies of what they may know: the model its inputs, a strategy the visible past and the prefix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from evaladapt.contract.capabilities import Capabilities
from evaladapt.contract.mask import causality_mask
from evaladapt.contract.views import HIDDEN_TARGET, Past, Query, Scored, StreamInfo, Window
from evaladapt.engine.parts import Part
from evaladapt.engine.source import Text
from evaladapt.engine.windows import Batch

FILLER = 0
"""Input token where nothing is known; the model is causal, so it changes nothing before it."""

PADDING = -1


class Keeper:
    """Holds a text and reveals it piece by piece."""

    def __init__(self, text: Text, device: torch.device) -> None:
        self._text = text
        self._tokens = text.tokens
        self._documents = text.documents
        self._device = device
        self.info = StreamInfo(text.shape.targets, text.shape.document_starts or (0,), text.shape.bos_id)

    def inputs(self, part: Part) -> Tensor:
        """[B,W] int64: what the model reads; ``FILLER`` from the last target of a row's span on, or of its window."""
        width = max(window.length for window in part.windows)
        rows = np.full((len(part.windows), width), FILLER, dtype=np.int64)
        for row, window, span in zip(rows, part.windows, part.spans, strict=True):
            known = (window.score_to if part.goes_on else span.stop) - 1 - window.start
            row[:known] = self._tokens[window.start : window.start + known]
        return torch.from_numpy(rows).to(self._device)

    def span_positions(self, part: Part) -> Tensor:
        """[B,S] int64: stream index of the targets of the part, left-aligned, ``PADDING`` after the end of a row."""
        width = max(span.stop - span.first for span in part.spans)
        first = torch.tensor([span.first for span in part.spans]).unsqueeze(1)
        stop = torch.tensor([span.stop for span in part.spans]).unsqueeze(1)
        positions = first + torch.arange(width)
        return torch.where(positions < stop, positions, PADDING).to(self._device)

    def past_positions(self, windows: Sequence[Window], columns: int) -> Tensor:
        """[B,P] int64: stream index of the ``columns`` targets before every row's score span, right-aligned."""
        score_from = torch.tensor([window.score_from for window in windows]).unsqueeze(1)
        start = torch.tensor([window.start for window in windows]).unsqueeze(1)
        positions = score_from + torch.arange(-columns, 0)
        return torch.where(positions > start, positions, PADDING).to(self._device)

    def past(self, positions: Tensor, part: Part, capabilities: Capabilities) -> Past:
        """The past at ``positions`` [B,P] as a strategy of these capabilities may see it, without hidden and logits."""
        visible = causality_mask(
            positions,
            part.windows,
            capabilities.scope,
            document_start=self._text.start_of(part.batch.frontier - 1),
            peeks=capabilities.peeks,
        )
        known = positions != PADDING
        score_from = torch.tensor([window.score_from for window in part.windows], device=self._device).unsqueeze(1)
        return Past(
            tokens=torch.where(known, self._look_up(positions - 1), FILLER),
            targets=torch.where(visible, self._look_up(positions), HIDDEN_TARGET),
            visible=visible,
            positions=positions.clone(),
            in_span=known & (positions >= score_from),
            documents=torch.where(known, self._look_up_documents(positions - 1), PADDING),
        )

    def query(self, positions: Tensor, part: Part) -> Query:
        """The query for targets at ``positions`` [B,S], with a copy of the prefix of the last of them."""
        valid = positions != PADDING
        prefix_start = min(window.start for window in part.batch.windows)
        last = int(positions.max()) if positions.numel() else PADDING
        prefix_stop = max(last, prefix_start + 1)
        documents = torch.from_numpy(self._documents[prefix_start:prefix_stop].astype(np.int64)).to(self._device)
        before = torch.where(valid, positions - 1 - prefix_start, 0)
        return Query(
            positions=positions.clone(),
            documents=torch.where(valid, documents[before], PADDING),
            valid=valid,
            frontier=part.batch.frontier,
            _prefix=self._copy(prefix_start, prefix_stop),
            _prefix_start=prefix_start,
        )

    def targets(self, part: Part) -> Tensor:
        """[n] int64: the targets of the part in stream order, to be charged now that their distribution is fixed."""
        return self._copy(part.first, part.stop)

    def targets_but_last(self, part: Part) -> Tensor:
        """[n] int64: those that lie before another target of what is predicted at once; in step mode none."""
        return self._copy(part.first, min(part.stop, part.whole.stop - 1))

    def scored(self, batch: Batch, logprobs: Tensor, trail: Tensor | None, expected: Tensor | None) -> Scored:
        """The batch as observed: every target with what was charged for it."""
        first, stop = batch.frontier, batch.end
        return Scored(
            positions=torch.arange(first, stop, device=self._device),
            tokens=self._copy(first - 1, stop - 1),
            targets=self._copy(first, stop),
            documents=torch.from_numpy(self._documents[first - 1 : stop - 1].astype(np.int64)).to(self._device),
            logprobs=logprobs,
            trail=trail,
            expected=expected,
        )

    def _look_up(self, positions: Tensor) -> Tensor:
        clamped = positions.clamp(min=0).cpu().numpy()
        return torch.from_numpy(self._tokens[clamped].astype(np.int64)).to(self._device)

    def _look_up_documents(self, positions: Tensor) -> Tensor:
        clamped = positions.clamp(min=0).cpu().numpy()
        return torch.from_numpy(self._documents[clamped].astype(np.int64)).to(self._device)

    def _copy(self, first: int, stop: int) -> Tensor:
        return torch.from_numpy(self._tokens[first:stop].astype(np.int64)).to(self._device)
