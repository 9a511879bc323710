"""The model's forward over the rows of a part: whole rows in block mode, continued from a cache in step mode."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from evaladapt.contract.views import Window
from evaladapt.engine.parts import Mode, Part
from evaladapt.engine.reading_on import ReadingOn
from evaladapt.errors import UsageError
from evaladapt.model.backend import Backend, ForgettingBackend, IncrementalBackend, TailBackend

TOKENS_TOGETHER = 2048
"""On a CPU so many tokens are read at once, in whole rows: what lies between two layers then stays in its caches."""


class Forward(Protocol):
    """Hidden states of a part's rows."""

    def hidden(self, part: Part, inputs: Tensor, first: int) -> Tensor:
        """[B,W-first,D] for the columns from ``first`` on of ``inputs`` [B,W].

        Right wherever the part's targets and, as far as ``first`` lets, the rows' pasts are predicted.
        """


class WholeRows:
    """Reads every row from its start, once: where further targets of a row follow, its states are kept for them."""

    def __init__(self, model: Backend) -> None:
        self._model = model
        self._kept: tuple[tuple[int, Window], int, Tensor] | None = None

    def hidden(self, part: Part, inputs: Tensor, first: int) -> Tensor:
        """A few rows after the other."""
        row = (part.batch.number, part.windows[0])
        if not part.opens_rows and self._kept and self._kept[0] == row:
            return self._kept[2][:, first - self._kept[1] :]
        rows, width = inputs.shape
        together = max(1, TOKENS_TOGETHER // width) if inputs.device.type == "cpu" else rows
        states = torch.cat([self._read(some, first) for some in torch.split(inputs, together)])
        self._kept = (row, first, states) if part.goes_on else None
        return states

    def _read(self, inputs: Tensor, first: int) -> Tensor:
        if isinstance(self._model, TailBackend):
            return self._model.hidden_from(inputs, first)
        return self._model.hidden(inputs)[:, first:]


class ContinuedRow:
    """Reads a row's past when the row opens, and then one token at a time.

    Weights change between batches only, and a batch opens with a row, so no cache outlives its weights. A row may also
    be taken up in its middle: then what was read of it so far is read again.
    """

    def __init__(self, model: IncrementalBackend) -> None:
        self._model = model
        self._cache: Any = None
        self._states: Tensor | None = None
        self._row: tuple[int, Window] | None = None
        self._read = 0

    def hidden(self, part: Part, inputs: Tensor, first: int) -> Tensor:
        """States of what was read of the row so far; zero after that."""
        row = (part.batch.number, part.windows[0])
        if part.opens_rows or self._states is None or row != self._row:
            self._row = row
            self._cache = self._model.start_cache(*inputs.shape)
            self._states = inputs.new_zeros(*inputs.shape, self._model.hidden_size, dtype=self._dtype())
            self._read = 0
        known = part.spans[0].stop - 1 - part.windows[0].start
        self._states[:, self._read : known] = self._model.extend(inputs[:, self._read : known], self._cache)
        self._read = known
        return self._states[:, first:]

    def _dtype(self) -> Any:
        return next(iter(dict(self._model.named_parameters()).values())).dtype


def forward_for(model: Backend, mode: Mode, *, continues: bool = False) -> Forward:
    """The forward of a mode; step mode reads whole rows where a model cannot continue one.

    Args:
        model: to read with.
        mode: of the run.
        continues: whether windows may continue one another.

    Raises:
        UsageError: they may, and the model cannot.
    """
    if continues:
        if not isinstance(model, ForgettingBackend):
            raise UsageError(
                f"the plan's windows read on from one another, and {type(model).__name__} cannot let go of what it read"
                " (forget of its backend); take the plan sliding"
            )
        return ReadingOn(model)
    if mode == "step" and isinstance(model, IncrementalBackend):
        return ContinuedRow(model)
    return WholeRows(model)
