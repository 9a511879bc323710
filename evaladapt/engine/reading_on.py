"""The forward of windows that continue one another: every token is read once, and what lies far back is let go of.

A row goes on through the text. Keys and values of its window's past are those of when they were read, by the weights of
then, and so are the hidden states that strategies read; attention reaches to the window's start and to the sinks
(Xiao et al. 2023), the columns that the row began with. Block and step mode cut the text at the same windows, so that
positions are the same in both.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from evaladapt.contract.views import Window
from evaladapt.engine.parts import Part
from evaladapt.errors import UsageError
from evaladapt.model.backend import ForgettingBackend


class ReadingOn:
    """Reads the windows of a plan in order; one that does not continue another begins a new row."""

    def __init__(self, model: ForgettingBackend) -> None:
        self._model = model
        self._cache: Any = None
        self._width = 0
        self._row: tuple[int, int] | None = None
        self._start = self._read = 0
        """Stream index of the row's first column and of its first token that was not read."""
        self._states = States(model.hidden_size)

    def hidden(self, part: Part, inputs: Tensor, first: int) -> Tensor:
        """[B,W-first,D] of the columns from ``first`` on; W is what was read of the longest row."""
        rows = []
        for window, span, tokens in zip(part.windows, part.spans, inputs, strict=True):
            stop = (window.score_to if part.goes_on else span.stop) - 1
            self._turn_to(window, part.windows[0].start, opens=part.opens_rows)
            if self._read < stop:
                new = tokens[self._read - window.start : stop - window.start].unsqueeze(0)
                self._states.add(self._model.extend(new, self._cache))
                self._read = stop
            rows.append(self._states.between(window.start + first, stop).clone())
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)

    def _turn_to(self, window: Window, oldest: int, *, opens: bool) -> None:
        """Let go of what lies before the window, or begin a row with it; states from ``oldest`` on are kept."""
        row = (window.start, window.score_from)
        if row == self._row and not opens:
            return
        self._row = row
        if self._cache is None or not window.continues or not self._start <= window.start <= self._read:
            self._begin(window, oldest)
        elif window.start > self._start:
            self._model.forget(self._cache, window.start - self._start, window.sinks)
            self._start = window.start
        self._states.keep_from(oldest)
        if window.length > self._width:
            raise UsageError(f"{window} is longer than what a row may hold that reads on, {self._width} tokens")

    def _begin(self, window: Window, oldest: int) -> None:
        """Read the window from its start. Its states follow those that are kept, where there is no gap between."""
        self._width = max(self._model.context, window.length)
        self._cache = self._model.start_cache(1, self._width)
        self._start = self._read = window.start
        self._states.go_back_to(window.start)


class States:
    """The last hidden states that were read, by stream index; those that nobody reads any more make room."""

    def __init__(self, width: int) -> None:
        self._kept = torch.empty(0, width)
        self._first = self._oldest = 0
        self._count = 0

    def keep_from(self, oldest: int) -> None:
        """States before ``oldest`` are not asked for again."""
        self._oldest = oldest

    def go_back_to(self, position: int) -> None:
        """The next state is that of ``position``."""
        if not self._first <= position <= self._first + self._count:
            self._first = position
        self._count = position - self._first

    def add(self, states: Tensor) -> None:
        """States [1,n,D] of the next n tokens."""
        new = states[0]
        if self._count + len(new) > len(self._kept):
            self._make_room(new)
        self._kept[self._count : self._count + len(new)] = new
        self._count += len(new)

    def between(self, first: int, stop: int) -> Tensor:
        """[stop-first,D]."""
        return self._kept[first - self._first : stop - self._first]

    def _make_room(self, new: Tensor) -> None:
        """Move what is still asked for to the front, of a larger piece of memory if need be."""
        gone = min(max(0, self._oldest - self._first), self._count)
        kept = self._kept[gone : self._count].to(new)
        needed = 2 * (len(kept) + len(new))
        if self._kept.dtype != new.dtype or self._kept.device != new.device or needed > len(self._kept):
            self._kept = new.new_empty(needed, new.shape[1])
        self._kept[: len(kept)] = kept.clone()
        self._first, self._count = self._first + gone, len(kept)
