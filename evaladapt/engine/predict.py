"""From a part of a batch to its distributions: forward, then every strategy in turn, adapted and applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from evaladapt.contract.capabilities import Stage
from evaladapt.contract.host import Host
from evaladapt.contract.views import Query, Scored
from evaladapt.engine.clock import Clock
from evaladapt.engine.forward import forward_for
from evaladapt.engine.hooks.callers import Caller
from evaladapt.engine.hooks.checks import check_distribution, check_output, normalised
from evaladapt.engine.hooks.fit import Fitting, columns_read, tensors_read
from evaladapt.engine.hooks.handed import Handed
from evaladapt.engine.hooks.host import host_for
from evaladapt.engine.hooks.weights import Weights
from evaladapt.engine.keeper import Keeper
from evaladapt.engine.lanes import Lane, Passage, first_column, gather
from evaladapt.engine.parts import Mode, Part
from evaladapt.engine.source import SideChannel
from evaladapt.engine.trail import Trail, TrailLog
from evaladapt.model.backend import Backend
from evaladapt.system.processes import Processes


@dataclass(frozen=True)
class Prediction:
    """Log-probabilities [B,S,V] for the targets at ``query.positions``; fixed before a target is looked at.

    ``trail`` holds the distributions after every strategy, the frozen model's first, as far as somebody wants them.
    """

    logprobs: Tensor
    query: Query
    trail: tuple[Tensor, ...]

    def rows(self) -> Tensor:
        """[n,V], those of the targets in stream order."""
        valid = self.query.valid
        return self.logprobs.flatten(0, 1) if bool(valid.all()) else self.logprobs[valid]


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
        memory: int | None = None,
    ) -> None:
        self._model = model
        continues = any(one.capabilities.continues for one in strategies)
        self._live, self._frozen = (forward_for(model, mode, continues=continues) for _ in range(2))
        self._weights = weights
        self._keeper = keeper
        self._clock = clock
        self._strategies = strategies
        self._hosts: dict[str, Host] = {
            one.alias: host_for(one.capabilities, model, processes, memory) for one in strategies
        }
        self._fitting = Fitting(model, keeper, clock, self._hosts, processes, side)
        self._trail = Trail(strategies, keeper, processes)
        self._handed = Handed(processes)
        self._reads_on = continues
        self._one_model: bool | None = None
        """Whether the live model is the frozen one, all over the batch; None while nobody wanted to know."""

    def host(self, strategy: Caller) -> Host:
        """The host that a strategy is called with."""
        return self._hosts[strategy.alias]

    @property
    def trail_log(self) -> TrailLog:
        """Where the loop says what the targets of a prediction would have been charged under its trail."""
        return self._trail.log

    def open_batch(self) -> None:
        """Forget what was gathered, and found out, over the batch before."""
        self._one_model = None
        self._trail.log.open_batch()
        self._handed.open_batch()

    def trail_charges(self, strategy: Caller) -> Tensor | None:
        """What the batch would have been charged under the entries before a strategy [K,n], where it reads them."""
        return self._trail.charges_before(strategy)

    def expected(self, strategy: Caller) -> Tensor | None:
        """Sum over the batch's targets of the distributions that a strategy was handed [V], where it reads it."""
        return self._handed.expected(strategy)

    def complete(self, strategy: Caller, scored: Scored) -> Scored:
        """Add what else a strategy declared that it learns from."""
        return replace(
            scored,
            hidden=self._handed.last_states(strategy),
            distributions=self._handed.last_distributions(strategy),
            folded=self._trail.folded(strategy),
        )

    def predict(self, part: Part, *, keep_trail: bool = False) -> Prediction:
        """Adapt to the visible past and predict the targets of the part, or of a process's share of one.

        Args:
            part: what to predict.
            keep_trail: keep the distributions after every strategy, whether or not one of them reads them.
        """
        wanted = len(self._strategies) if keep_trail else self._trail.wanted
        for strategy in self._at(Stage.WEIGHTS):
            self._fitting.adapt_weights(strategy, part)
        if wanted and self._one_model is None:
            self._one_model = self._live_is_frozen()
        passage = self._forward(part, keep_trail=wanted > 0)
        for strategy in self._at(Stage.WEIGHTS):
            self._hand(strategy, passage)
            self._keep(strategy, passage, wanted)
        for strategy in self._at(Stage.HIDDEN):
            self._fitting.adapt(strategy, passage)
            self._hand(strategy, passage)
            self._transform_hidden(strategy, passage)
            self._keep(strategy, passage, wanted)
        self._read_out(passage)
        for strategy in self._at(Stage.LOGITS):
            self._fitting.adapt(strategy, passage)
            self._hand(strategy, passage)
            self._transform_logits(strategy, passage)
            self._keep(strategy, passage, wanted)
        self._normalise(passage)
        for strategy in self._at(Stage.PROBS):
            self._fitting.adapt(strategy, passage)
            self._hand(strategy, passage)
            self._mix(strategy, passage)
            self._keep(strategy, passage, wanted)
        return Prediction(passage.final_logprobs, passage.span.query, tuple(passage.trail))

    def _at(self, stage: Stage) -> list[Caller]:
        return [one for one in self._strategies if one.capabilities.stage == stage]

    # The stages, in order.

    def _forward(self, part: Part, *, keep_trail: bool) -> Passage:
        """The model's hidden states of the span, and of as much of the past as some strategy reads."""
        inputs = self._keeper.inputs(part)
        readers = [one for one in self._strategies if part.opens_rows and tensors_read(one)]
        columns = max((columns_read(one, part) for one in readers), default=0)
        first = first_column(part, columns)
        with self._clock.phase("forward"):
            hidden = self._live.hidden(part, inputs, first)
        passage = Passage(part, self._lane(hidden, first, self._keeper.span_positions(part), part))
        if keep_trail:
            passage.trail.append(self._frozen_logprobs(inputs, passage))
        if readers:
            passage.past = self._lane(hidden, first, self._keeper.past_positions(part.windows, columns), part)
        return passage

    def _transform_hidden(self, strategy: Caller, passage: Passage) -> None:
        if strategy.implements("transform_hidden"):
            for lane in self._lanes_in_use(strategy, passage):
                lane.hidden = self._transformed(strategy, "transform_hidden", {"hidden": lane.hidden}, lane.query)
            passage.read_out = passage.normal = None

    def _read_out(self, passage: Passage) -> None:
        """The head, on the past too where a strategy reads its logits."""
        with self._clock.phase("forward"):
            passage.span.logits = self._logits(passage)
            if passage.past is not None and any("logits" in one.capabilities.reads for one in self._strategies):
                passage.past.logits = self._model.head(passage.past.hidden).float()

    def _transform_logits(self, strategy: Caller, passage: Passage) -> None:
        if strategy.implements("transform_logits"):
            for lane in self._lanes_in_use(strategy, passage):
                if lane.logits is not None:
                    query = _with_states(lane, strategy)
                    lane.logits = self._transformed(strategy, "transform_logits", {"logits": lane.logits}, query)
            passage.normal = None

    def _normalise(self, passage: Passage) -> None:
        with self._clock.phase("score"):
            known = passage.normal  # it is in the trail too, and a strategy may do to its own what it likes
            passage.logprobs = normalised(passage.final_logits) if known is None else known.clone()

    def _mix(self, strategy: Caller, passage: Passage) -> None:
        if not strategy.implements("mix"):
            return
        query = self._trail.extended(_with_states(passage.span, strategy), strategy, passage)
        mixed = self._transformed(strategy, "mix", {"logprobs": passage.final_logprobs}, query)
        check_distribution(strategy.alias, mixed, query.valid, query.positions)
        # What is charged is normalised exactly, so that no strategy can live off the tolerance of the check.
        passage.logprobs = normalised(mixed)

    def _live_is_frozen(self) -> bool:
        """Whether one forward serves as both; a row that reads on is read by two models throughout, or by one."""
        return not self._at(Stage.WEIGHTS) or (not self._reads_on and self._weights.untouched())

    # Lanes and distributions.

    def _lane(self, hidden: Tensor, first: int, positions: Tensor, part: Part) -> Lane:
        return Lane(self._keeper.query(positions, part), gather(hidden, first, positions, part))

    def _lanes_in_use(self, strategy: Caller, passage: Passage) -> list[Lane]:
        """The span, and the past too where a strategy after this one reads it."""
        after = self._strategies[self._strategies.index(strategy) + 1 :]
        if passage.past is not None and any(map(tensors_read, after)):
            return [passage.span, passage.past]
        return [passage.span]

    def _transformed(self, strategy: Caller, hook: str, argument: dict[str, Tensor], query: Query) -> Tensor:
        """What a hook makes of its one tensor, checked."""
        (value,) = argument.values()
        with self._clock.phase("transform"):
            shape, dtype, positions = value.shape, value.dtype, query.positions.clone()
            result = strategy.call(hook, **argument, query=query, rng=strategy.rng)
            return check_output(strategy.alias, hook, shape, dtype, result, positions)

    def _hand(self, strategy: Caller, passage: Passage) -> None:
        """Keep what a strategy is handed, as far as it wants to learn from it when the targets are scored."""
        self._handed.note(strategy, passage, lambda: self._distribution(passage))

    def _keep(self, strategy: Caller, passage: Passage, wanted: int) -> None:
        """Add where the targets' distributions stand to the trail, unless all of its entries are there."""
        if self._strategies.index(strategy) < wanted:
            passage.trail.append(self._distribution(passage))

    def _distribution(self, passage: Passage) -> Tensor:
        """What the targets' distributions [B,S,V] would be if no strategy followed; nobody may write to it."""
        if passage.logprobs is not None:
            return passage.logprobs.clone()
        if passage.normal is None:
            passage.normal = normalised(self._logits(passage))
        return passage.normal

    def _logits(self, passage: Passage) -> Tensor:
        """Logits [B,S,V] of the targets as they are."""
        if passage.span.logits is not None:
            return passage.span.logits
        if passage.read_out is None:
            passage.read_out = self._model.head(passage.span.hidden).float()
        return passage.read_out

    def _frozen_logprobs(self, inputs: Tensor, passage: Passage) -> Tensor:
        if self._one_model:
            return self._distribution(passage)
        with self._weights.frozen(), self._clock.phase("forward"):
            part, first = passage.part, first_column(passage.part, 0)
            hidden = self._frozen.hidden(part, inputs, first)
            return normalised(self._model.head(gather(hidden, first, passage.span.query.positions, part)).float())


def _with_states(lane: Lane, strategy: Caller) -> Query:
    """The query of a lane, with the states that its targets are predicted from for a strategy that reads them."""
    reads = "states" in strategy.capabilities.reads
    return replace(lane.query, hidden=lane.hidden.clone()) if reads else lane.query
