"""From a part of a batch to its distributions: forward, then every strategy in turn, adapted and applied.

Adaptation is staged: a strategy is fitted on the past as the strategies before it leave it. So two lanes go through the
transforms side by side, the span to be scored and, as far as somebody still reads it, the past.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from evaladapt.contract.capabilities import Reading, Stage
from evaladapt.contract.host import Host
from evaladapt.contract.views import Past, Query
from evaladapt.engine.callers import Caller
from evaladapt.engine.charge import Fold, TrailLog, charge_all
from evaladapt.engine.checks import check_distribution, check_output, worst_sum
from evaladapt.engine.clock import Clock
from evaladapt.engine.forward import forward_for
from evaladapt.engine.host import host_for
from evaladapt.engine.keeper import Keeper
from evaladapt.engine.lanes import Lane, but_last, first_row, gather
from evaladapt.engine.parts import Mode, Part, targets_by_process
from evaladapt.engine.processes import Processes
from evaladapt.engine.source import SideChannel
from evaladapt.engine.weights import Weights
from evaladapt.errors import UsageError
from evaladapt.model.backend import Backend


@dataclass(frozen=True)
class Prediction:
    """Log-probabilities [B,S,V] for the targets at ``query.positions``; fixed before a target is looked at."""

    logprobs: Tensor
    query: Query
    trail: tuple[Tensor, ...]
    worst_sum: float


class Predictor:
    """Runs the strategies of a composition on parts of batches."""

    def __init__(
        self,
        model: Backend,
        weights: Weights,
        keeper: Keeper,
        strategies: Sequence[Caller],
        clock: Clock,
        mode: Mode,
        processes: Processes,
        side: SideChannel | None = None,
    ) -> None:
        self._model = model
        self._processes = processes
        self._side = side
        self._live, self._frozen = forward_for(model, mode), forward_for(model, mode)
        self._weights = weights
        self._keeper = keeper
        self._clock = clock
        self._strategies = strategies
        self._hosts: dict[str, Host] = {one.alias: host_for(one.capabilities, model, processes) for one in strategies}
        self.trail_log = TrailLog()
        self._trailing = any("trail" in one.capabilities.reads for one in strategies)
        self._expected: dict[str, Tensor] = {}

    def host(self, strategy: Caller) -> Host:
        """The host that a strategy is called with."""
        return self._hosts[strategy.alias]

    def open_batch(self) -> None:
        """Forget what was gathered for ``observe`` over the batch before."""
        self.trail_log.open_batch()
        self._expected = {}

    def trail_charges(self, strategy: Caller) -> Tensor | None:
        """What the batch would have been charged under the entries before a strategy [K,n], where it reads them."""
        if "trail" not in strategy.capabilities.reads:
            return None
        return self.trail_log.batch_charges()[: self._strategies.index(strategy)].clone()

    def expected(self, strategy: Caller) -> Tensor | None:
        """Sum over the batch's targets of the distributions that a strategy was handed [V], where it reads it."""
        return self._expected[strategy.alias].clone() if "expected" in strategy.capabilities.reads else None

    def predict(self, part: Part) -> Prediction:
        """Adapt to the visible past and predict the targets of the part, or of a process's share of one."""
        trail: list[Tensor] = []
        self._adapt_weights(part)
        span, past = self._forward(part, trail)
        for strategy in self._at(Stage.HIDDEN):
            self._adapt(strategy, part, span, past)
            self._transform_hidden(strategy, span, past, trail)
        self._read_out(span, past)
        for strategy in self._at(Stage.LOGITS):
            self._adapt(strategy, part, span, past)
            self._transform_logits(strategy, part, span, past, trail)
        return self._mix(part, span, past, trail)

    def _at(self, stage: Stage) -> list[Caller]:
        return [one for one in self._strategies if one.capabilities.stage == stage]

    def _adapt_weights(self, part: Part) -> None:
        for strategy in self._at(Stage.WEIGHTS):
            if part.opens_batch and strategy.implements("adapt"):
                self._call_adapt(strategy, self._bare_past(strategy, part))

    def _forward(self, part: Part, trail: list[Tensor]) -> tuple[Lane, Lane | None]:
        inputs = self._keeper.inputs(part)
        with self._clock.phase("forward"):
            hidden = self._live.hidden(part, inputs)
        positions = self._keeper.span_positions(part)
        span = Lane(self._keeper.query(positions, part), gather(hidden, positions, part))
        if self._trailing:
            trail.append(self._frozen_logprobs(inputs, span, part))
            trail.extend(self._logprobs(span.hidden) for _ in self._at(Stage.WEIGHTS))
        readers = [one for one in self._strategies if part.opens_rows and one.capabilities.reads & {"hidden", "logits"}]
        if not readers:
            return span, None
        columns = self._keeper.past_positions(part.windows, max(_columns(one, part) for one in readers))
        return span, Lane(self._keeper.query(columns, part), gather(hidden, columns, part))

    def _adapt(self, strategy: Caller, part: Part, span: Lane, past: Lane | None) -> None:
        """Fit a strategy, if it has something to fit and its turn in this batch has come."""
        due = part.opens_rows if strategy.capabilities.scope == "window" else part.opens_batch
        if not (due and strategy.implements("adapt")):
            return
        view = self._bare_past(strategy, part)
        view = replace(view, **{what: self._read(what, strategy, view, span, past) for what in _tensors_read(strategy)})
        self._call_adapt(strategy, view)

    def _call_adapt(self, strategy: Caller, view: Past) -> None:
        with self._clock.phase("adapt"):
            strategy.call("adapt", past=view, host=self.host(strategy), rng=strategy.rng)
        if self._side and strategy.capabilities.peeks and strategy.implements("fitted"):
            self._side.tell(strategy.alias, strategy.call("fitted"))

    def _past_positions(self, strategy: Caller, part: Part) -> Tensor:
        positions = self._keeper.past_positions(part.windows, _columns(strategy, part))
        if not strategy.capabilities.peeks:
            return positions
        return torch.cat([positions, self._keeper.span_positions(part)], dim=1)

    def _bare_past(self, strategy: Caller, part: Part) -> Past:
        """Tokens and visible targets; of the first row only where state is shared, whose past ends at the frontier."""
        if not _sees_first_row(strategy):
            return self._keeper.past(self._past_positions(strategy, part), part, strategy.capabilities)
        whole = part.whole
        return first_row(self._keeper.past(self._past_positions(strategy, whole), whole, strategy.capabilities))

    def _read(self, what: Reading, strategy: Caller, view: Past, span: Lane, past: Lane | None) -> Tensor:
        """The past's hidden states or logits in the columns of ``view``, with the span's for a strategy that peeks."""
        if past is None:
            raise UsageError(f"strategy {strategy.alias!r} reads {what}, but the engine kept no past for it")
        rows, columns = view.positions.shape
        if strategy.capabilities.peeks:
            columns -= span.query.positions.shape[1]
        before = self._lane_values(what, past)[:rows, past.hidden.shape[1] - columns :]
        if not strategy.capabilities.peeks:
            before = before.clone()
            if _sees_first_row(strategy):
                self._processes.from_process(0, before)
            return before
        return torch.cat([before, self._lane_values(what, span)[:rows]], dim=1)

    def _lane_values(self, what: Reading, lane: Lane) -> Tensor:
        if what == "hidden":
            return lane.hidden
        return lane.logits if lane.logits is not None else self._model.head(lane.hidden)

    def _transform_hidden(self, strategy: Caller, span: Lane, past: Lane | None, trail: list[Tensor]) -> None:
        if strategy.implements("transform_hidden"):
            for lane in self._lanes_in_use(strategy, span, past):
                lane.hidden = self._transformed(strategy, "transform_hidden", "hidden", lane.hidden, lane.query)
        if self._trailing:
            trail.append(self._logprobs(span.hidden))

    def _read_out(self, span: Lane, past: Lane | None) -> None:
        with self._clock.phase("forward"):
            span.logits = self._model.head(span.hidden).float()
            if past is not None and any("logits" in one.capabilities.reads for one in self._strategies):
                past.logits = self._model.head(past.hidden).float()

    def _transform_logits(
        self, strategy: Caller, part: Part, span: Lane, past: Lane | None, trail: list[Tensor]
    ) -> None:
        if "expected" in strategy.capabilities.reads:
            self._gather_expected(strategy, torch.log_softmax(_present(span.logits), dim=-1), span.query.valid, part)
        if strategy.implements("transform_logits"):
            for lane in self._lanes_in_use(strategy, span, past):
                if lane.logits is not None:
                    lane.logits = self._transformed(strategy, "transform_logits", "logits", lane.logits, lane.query)
        if self._trailing:
            trail.append(torch.log_softmax(_present(span.logits), dim=-1))

    def _mix(self, part: Part, span: Lane, past: Lane | None, trail: list[Tensor]) -> Prediction:
        with self._clock.phase("score"):
            logprobs = torch.log_softmax(_present(span.logits), dim=-1)
        worst = worst_sum(logprobs, span.query.valid)
        for strategy in self._at(Stage.PROBS):
            self._adapt(strategy, part, span, past)
            if "expected" in strategy.capabilities.reads:
                self._gather_expected(strategy, logprobs, span.query.valid, part)
            logprobs, worst = self._mixed(strategy, part, span, logprobs, worst, trail)
            if self._trailing:
                trail.append(logprobs.clone())
        return Prediction(logprobs, span.query, tuple(trail), worst)

    def _gather_expected(self, strategy: Caller, logprobs: Tensor, valid: Tensor, part: Part) -> None:
        counted = valid & part.own
        summed = (logprobs.exp() * counted.unsqueeze(-1)).sum(dim=(0, 1), dtype=torch.float64)
        self._processes.add(summed)
        self._expected[strategy.alias] = self._expected.get(strategy.alias, torch.zeros_like(summed)) + summed

    def _mixed(
        self, strategy: Caller, part: Part, span: Lane, logprobs: Tensor, worst: float, trail: list[Tensor]
    ) -> tuple[Tensor, float]:
        """What a strategy makes of the distributions, and the worst sum seen so far."""
        if not strategy.implements("mix"):
            return logprobs, worst
        mixed = self._transformed(strategy, "mix", "logprobs", logprobs, self._trail_query(strategy, part, span, trail))
        worst = max(worst, check_distribution(strategy.alias, mixed, span.query.valid, span.query.positions))
        # What is charged is normalised exactly, so that no strategy can live off the tolerance of the check.
        return torch.log_softmax(mixed, dim=-1), worst

    def _trail_query(self, strategy: Caller, part: Part, span: Lane, trail: list[Tensor]) -> Query:
        """The query, with the trail and its recursion for a strategy that reads it."""
        if "trail" not in strategy.capabilities.reads:
            return span.query
        entries = tuple(trail)
        pending = self._pending_charges(entries, span, part)
        first, stop = part.first - part.whole.first, part.stop - part.whole.first

        def fold(update: Fold, start: Tensor) -> Tensor:
            return self.trail_log.fold(strategy.alias, update, start, pending)[first:stop]

        return replace(span.query, trail=tuple(one.clone() for one in entries), _fold=fold)

    def _pending_charges(self, entries: tuple[Tensor, ...], span: Lane, part: Part) -> Tensor:
        """Charges [K,n-1] of what is predicted at once, without its last target, under the entries of a trail."""
        ends = part.stop == part.whole.stop
        earlier = but_last(span.query.valid) if ends else span.query.valid
        charges = charge_all(entries, earlier, self._keeper.targets_but_last(part))
        return self._processes.join(charges, targets_by_process(part.whole, self._processes.count, but_last=True))

    def _transformed(self, strategy: Caller, hook: str, argument: str, value: Tensor, query: Query) -> Tensor:
        with self._clock.phase("transform"):
            shape, dtype, positions = value.shape, value.dtype, query.positions.clone()
            result = strategy.call(hook, **{argument: value}, query=query, rng=strategy.rng)
            return check_output(strategy.alias, hook, shape, dtype, result, positions)

    def _lanes_in_use(self, strategy: Caller, span: Lane, past: Lane | None) -> list[Lane]:
        """The span, and the past too where a strategy after this one reads it."""
        after = self._strategies[self._strategies.index(strategy) + 1 :]
        return [span, past] if past is not None and any(map(_tensors_read, after)) else [span]

    def _logprobs(self, hidden: Tensor) -> Tensor:
        return torch.log_softmax(self._model.head(hidden).float(), dim=-1)

    def _frozen_logprobs(self, inputs: Tensor, span: Lane, part: Part) -> Tensor:
        if not self._at(Stage.WEIGHTS):
            return self._logprobs(span.hidden)
        with self._weights.frozen(), self._clock.phase("forward"):
            return self._logprobs(gather(self._frozen.hidden(part, inputs), span.query.positions, part))


def _columns(strategy: Caller, part: Part) -> int:
    longest = max(window.past for window in part.whole.windows)
    return longest if strategy.focus is None else min(longest, strategy.focus)


def _sees_first_row(strategy: Caller) -> bool:
    """Whether state is shared by the rows: then what it learns from is the past of the first row of all."""
    return strategy.capabilities.scope != "window" and not strategy.capabilities.peeks


def _tensors_read(strategy: Caller) -> list[Reading]:
    names: tuple[Reading, ...] = ("hidden", "logits")
    return [what for what in names if what in strategy.capabilities.reads]


def _present(logits: Tensor | None) -> Tensor:
    if logits is None:
        raise RuntimeError("logits are read before the head was applied")
    return logits
