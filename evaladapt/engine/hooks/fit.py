"""Fitting a strategy to the visible past, as the strategies before it leave that past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from evaladapt.contract.capabilities import Reading
from evaladapt.contract.host import Host
from evaladapt.contract.views import Past
from evaladapt.engine.clock import Clock
from evaladapt.engine.hooks.callers import Caller
from evaladapt.engine.keeper import Keeper
from evaladapt.engine.lanes import Lane, Passage, first_row
from evaladapt.engine.parts import Part
from evaladapt.engine.source import SideChannel
from evaladapt.errors import UsageError
from evaladapt.model.backend import Backend
from evaladapt.system.processes import Processes


class Fitting:
    """Builds what a strategy may learn from, and has it learn."""

    def __init__(
        self,
        model: Backend,
        keeper: Keeper,
        clock: Clock,
        hosts: Mapping[str, Host],
        processes: Processes,
        side: SideChannel | None,
    ) -> None:
        self._model = model
        self._keeper = keeper
        self._clock = clock
        self._hosts = hosts
        self._processes = processes
        self._side = side

    def adapt_weights(self, strategy: Caller, part: Part) -> None:
        """Fit a strategy that acts before the forward pass, when a batch opens."""
        if part.opens_batch and strategy.implements("adapt"):
            self._call(strategy, self._bare_past(strategy, part))

    def adapt(self, strategy: Caller, passage: Passage) -> None:
        """Fit a strategy, if it has something to fit and its turn in this batch has come."""
        part = passage.part
        due = part.opens_rows if strategy.capabilities.scope == "window" else part.opens_batch
        if not (due and strategy.implements("adapt")):
            return
        view = self._bare_past(strategy, part)
        read = {what: self._read(what, strategy, view, passage) for what in tensors_read(strategy)}
        self._call(strategy, replace(view, **read))

    def _call(self, strategy: Caller, view: Past) -> None:
        with self._clock.phase("adapt"):
            strategy.call("adapt", past=view, host=self._hosts[strategy.alias], rng=strategy.rng)
        if self._side and strategy.capabilities.peeks and strategy.implements("fitted"):
            self._side.tell(strategy.alias, strategy.call("fitted"))

    def _bare_past(self, strategy: Caller, part: Part) -> Past:
        """Tokens and visible targets; of the first row only where state is shared, whose past ends at the frontier."""
        if not _sees_first_row(strategy):
            return self._keeper.past(self._positions(strategy, part), part, strategy.capabilities)
        whole = part.whole
        return first_row(self._keeper.past(self._positions(strategy, whole), whole, strategy.capabilities))

    def _positions(self, strategy: Caller, part: Part) -> Tensor:
        positions = self._keeper.past_positions(part.windows, columns_read(strategy, part))
        if not strategy.capabilities.peeks:
            return positions
        return torch.cat([positions, self._keeper.span_positions(part)], dim=1)

    def _read(self, what: Reading, strategy: Caller, view: Past, passage: Passage) -> Tensor:
        """The past's hidden states or logits in the columns of ``view``, with the span's for a strategy that peeks."""
        if passage.past is None:
            raise UsageError(f"strategy {strategy.alias!r} reads {what}, but the engine kept no past for it")
        rows, columns = view.positions.shape
        if strategy.capabilities.peeks:
            columns -= passage.span.query.positions.shape[1]
        before = self._values(what, passage.past)[:rows, passage.past.hidden.shape[1] - columns :]
        if not strategy.capabilities.peeks:
            before = before.clone()
            if _sees_first_row(strategy):
                self._processes.from_process(0, before)
            return before
        return torch.cat([before, self._values(what, passage.span)[:rows]], dim=1)

    def _values(self, what: Reading, lane: Lane) -> Tensor:
        if what == "hidden":
            return lane.hidden
        return lane.logits if lane.logits is not None else self._model.head(lane.hidden)


def columns_read(strategy: Caller, part: Part) -> int:
    """How many columns of the past a strategy is shown, counted back from the score span."""
    longest = max(window.past for window in part.whole.windows)
    return longest if strategy.focus is None else min(longest, strategy.focus)


def tensors_read(strategy: Caller) -> list[Reading]:
    """What of the past, beside tokens and targets, a strategy reads."""
    names: tuple[Reading, ...] = ("hidden", "logits")
    return [what for what in names if what in strategy.capabilities.reads]


def _sees_first_row(strategy: Caller) -> bool:
    """Whether state is shared by the rows: then what it learns from is the past of the first row of all."""
    return strategy.capabilities.scope != "window" and not strategy.capabilities.peeks
