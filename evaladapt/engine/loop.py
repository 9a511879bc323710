"""The loop: forward, adapt, transform, check, settle, observe. The order of these lines is the contract.

It runs wherever model and strategies are, and that is never where the text is: targets come through an
:class:`~evaladapt.engine.source.Exchange`, after their distributions went out through it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from evaladapt.contract.capabilities import Stage
from evaladapt.contract.composition import Composition, Member
from evaladapt.contract.views import Boundary, ModelInfo, RunInfo, Vocabulary
from evaladapt.engine.charge import charge_all
from evaladapt.engine.clock import Clock
from evaladapt.engine.hooks.callers import Caller, build_callers
from evaladapt.engine.hooks.states import pack_states, size_of_state, unpack_states
from evaladapt.engine.hooks.weights import Weights
from evaladapt.engine.keeper import Keeper
from evaladapt.engine.parts import Mode, Part, share, targets_by_process
from evaladapt.engine.player.replicas import compare_replicas
from evaladapt.engine.predict import Prediction, Predictor
from evaladapt.engine.room import Room
from evaladapt.engine.source import Exchange, Settled, SideChannel, Text
from evaladapt.engine.windows import Batch, Horizon, batches, covering, cut_at_documents
from evaladapt.errors import DataError, PluginError, UsageError
from evaladapt.model.backend import Backend
from evaladapt.system.processes import ALONE, Processes

MOST_MEMORY = 4_000_000_000
"""Bytes of working memory, where nobody says less."""
PREDICTING = {"adapt", "transform_hidden", "transform_logits", "mix"}
"""Hooks that are called for a prediction."""
OF_PREDICTIONS = {"trail", "expected", "distributions", "states"}
"""Readings of what was predicted."""
STATE_BYTES = "state_bytes"
"""Among the scalars, beside the aliases: bytes by alias that a strategy kept when the text ended."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a run is carried out; all of it is part of the run's identity."""

    batch: int = 16
    seed: int = 0
    mode: Mode = "block"
    memory: int = MOST_MEMORY
    """Bytes for distributions at once; in a model with a large vocabulary it says how many rows go together."""


@dataclass(frozen=True)
class Closing:
    """What a run says of itself when it ends; the score is not its to tell."""

    weights_digest: str
    scalars: dict[str, dict[str, float | int | str]]
    phases: dict[str, float]
    strategies: dict[str, dict[str, float]]


class Engine:
    """One run of a composition on a text that is told as it is scored."""

    def __init__(
        self,
        model: Backend,
        composition: Composition,
        settings: Settings,
        exchange: Exchange,
        *,
        side: SideChannel | None = None,
        processes: Processes = ALONE,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        self._settings, self._exchange, self._processes = settings, exchange, processes
        self._vocabulary = vocabulary
        self.text = Text(exchange.shape)
        self._refuse_unusable(composition)
        self.clock = Clock()
        self._weights = Weights(model)
        device = next(iter(self._weights.live.values())).device
        self._keeper = Keeper(self.text, device)
        self._strategies = build_callers(composition, settings.seed, self.clock)
        self._predictor = Predictor(model, self._weights, self._keeper, self._strategies, self.clock,
                                    settings.mode, processes, side, settings.memory)  # fmt: skip
        capabilities = [one.capabilities for one in self._strategies]
        self._room = Room.of(settings.memory, model.vocab_size, capabilities)
        self._model_info = ModelInfo(model.vocab_size, model.hidden_size, model.context, model.layers)
        self.info = RunInfo(self._keeper.info, self._model_info, settings.batch, settings.seed, settings.mode, device)
        self._without_trace = predicts_without_trace(composition.members)
        self._reset_until = 0

    @torch.no_grad()
    def run(self) -> Closing:
        """Predict every target once, left to right.

        Raises:
            ContractViolation: a clause of the contract was broken; nothing of this run is a score.
            PluginError: a strategy raised.
        """
        try:
            self._begin()
            done = self._take_up()
            for batch in self.batches():
                if batch.number < done:
                    self._reset_until = batch.frontier
                    continue
                with self.clock.phase("exchange"):
                    self.text.learn(batch.frontier, self._exchange.open(batch))
                self._reset_at_document(batch)
                self._predictor.open_batch()
                settled = self._settled(batch)
                self._observe(batch, np.concatenate([one.charges for one in settled]))
                if settled[-1].snapshot:
                    self._give_state()
            return self._close()
        finally:
            self._weights.restore()

    def _settled(self, batch: Batch) -> list[Settled]:
        """What its targets are and cost: predicted, unless it is known and predicting it would change nothing."""
        known = self._exchange.known(batch) if self._without_trace else None
        if known is None:
            return [self._settle(piece) for part in self._exchange.parts(batch) for piece in self._room.pieces(part)]
        self.text.learn(batch.frontier, known.targets)
        return [known]

    def _settle(self, part: Part) -> Settled:
        """Predict a part, and find out what its targets are and cost."""
        mine = share(part, self._processes.rank, self._processes.count)
        prediction = self._predictor.predict(mine, keep_trail=self._exchange.wants_trail)
        valid = prediction.query.valid
        sizes = targets_by_process(part, self._processes.count)
        with self.clock.phase("exchange"):
            rows = self._processes.join(prediction.rows().T, sizes).T
            trail = [entry[valid] for entry in prediction.trail] if self._exchange.wants_trail else []
            settled = self._exchange.settle(part.first, rows, trail)
            self.text.learn(part.first, settled.targets)
        self._remember_trail(prediction, mine, sizes)
        return settled

    def _remember_trail(self, prediction: Prediction, mine: Part, sizes: tuple[int, ...]) -> None:
        """What the targets would have cost under every entry of the trail, for strategies that learn from it."""
        if prediction.trail:
            charges = charge_all(prediction.trail, prediction.query.valid, self._keeper.targets(mine))
            self._predictor.trail_log.extend(self._processes.join(charges, sizes))

    def _info_for(self, strategy: Caller) -> RunInfo:
        """The settings of the run, with the bytes of every token for a strategy that reads them."""
        if "vocabulary" not in strategy.capabilities.reads:
            return self.info
        if self._vocabulary is None:
            raise UsageError(f"strategy {strategy.alias!r} works on the bytes of tokens, and nobody said what they are")
        return replace(self.info, vocabulary=self._vocabulary)

    def _begin(self) -> None:
        for strategy in self._having("begin"):
            strategy.call("begin", run=self._info_for(strategy), host=self._predictor.host(strategy))

    def _take_up(self) -> int:
        """Bring everything to where an interrupted run left its last snapshot; returns the batches that are done."""
        beginning = self._exchange.begin()
        if not beginning.batches:
            return 0
        self.text.learn(1, beginning.tokens)
        states, weights = unpack_states(beginning.state)
        self._weights.replace(weights)
        for strategy in self._having("restore"):
            strategy.call("restore", state=states.get(strategy.alias, {}))
        return beginning.batches

    def batches(self) -> Iterator[Batch]:
        """The batches of the run: the plan, checked to cover every target once, in groups of rows."""
        plan = self._strategies[0]
        windows = plan.call("plan", stream=self._keeper.info, model=self._model_info)
        windows = covering(windows, self.text.shape.targets, plan.alias, continues=plan.capabilities.continues)
        breaks = self._keeper.info.document_starts if self._minds_documents() else ()
        if breaks:
            windows = cut_at_documents(windows, self._keeper.info)
        horizons = (
            Horizon(one.horizon, one.implements("reset")) for one in self._strategies if one.horizon is not None
        )
        return batches(windows, self._settings.batch, breaks, tuple(horizons))

    def _reset_at_document(self, batch: Batch) -> None:
        """Tell of the document that began since the batch before; where several did, of the last."""
        position = self.text.start_of(batch.frontier - 1)
        if position >= self._reset_until:
            for strategy in self._having("reset"):
                strategy.call("reset", boundary=Boundary(int(self.text.documents[position]), position))
        self._reset_until = batch.frontier

    def _observe(self, batch: Batch, charged: NDArray[np.float64]) -> None:
        with self.clock.phase("observe"):
            for strategy in self._having("observe"):
                trail, expected = self._predictor.trail_charges(strategy), self._predictor.expected(strategy)
                scored = self._keeper.scored(batch, torch.from_numpy(charged.copy()), trail, expected)
                scored = self._predictor.complete(strategy, scored)
                strategy.call("observe", scored=scored, host=self._predictor.host(strategy), rng=strategy.rng)

    def _having(self, hook: str) -> list[Caller]:
        return [one for one in self._strategies if one.implements(hook)]

    def _minds_documents(self) -> bool:
        return any(one.capabilities.scope == "document" or one.implements("reset") for one in self._strategies)

    def _give_state(self) -> None:
        """Give the state: nothing, unless all that is remembered across batches can be said.

        The keys and values of a row that reads on cannot.
        """
        remembering = [one for one in self._strategies if one.implements("observe") or _shares_state(one)]
        if self._strategies[0].capabilities.continues or not all(one.implements("state") for one in remembering):
            self._exchange.keep(b"")
            return
        with self.clock.phase("snapshot"):
            states = {one.alias: one.call("state") for one in self._having("state")}
            written = any(one.capabilities.writes_weights for one in self._strategies)
            self._exchange.keep(pack_states(states, self._weights.live if written else {}))

    def _close(self) -> Closing:
        compare_replicas(self._processes, self._weights.live, self._strategies)
        kept = self._state_bytes()
        scalars = {one.alias: dict(one.call("end", run=self.info)) for one in self._having("end")}
        scalars |= {STATE_BYTES: kept} if kept else {}
        self._weights.verify(writable=any(one.capabilities.writes_weights for one in self._strategies))
        return Closing(
            weights_digest=self._weights.digest,
            scalars=scalars,
            phases=dict(self.clock.phases),
            strategies={alias: dict(hooks) for alias, hooks in self.clock.strategies.items()},
        )

    def _state_bytes(self) -> dict[str, float | int | str]:
        """What every strategy keeps at the end, as far as it can say; written weights count as ``weights``."""
        sizes: dict[str, float | int | str] = {}
        for one in self._having("state"):
            with suppress(PluginError):  # what it cannot say is not known, and no reason to lose the score
                sizes[one.alias] = size_of_state(one.alias, one.call("state"))
        if any(one.capabilities.writes_weights for one in self._strategies):
            sizes["weights"] = self._weights.written_bytes()
        return sizes

    def _refuse_unusable(self, composition: Composition) -> None:
        if self.text.shape.targets < 1:
            raise DataError(f"the text {self.text.shape.name!r} has no targets: there is nothing to score")
        if self._settings.batch < 1:
            raise UsageError(f"a batch holds at least one window, not {self._settings.batch}")
        if self._settings.mode == "step" and composition.peeking:
            names = ", ".join(member.alias for member in composition.peeking)
            raise UsageError(f"{names} would peek, and in step mode there is nothing to peek at; use block mode")
        self._refuse_splitting(composition)

    def _refuse_splitting(self, composition: Composition) -> None:
        """Several processes split the rows of a batch in block mode, and only where no row's state knows a target."""
        count = self._processes.count
        if count > 1 and composition.plan.capabilities.continues:
            raise UsageError(
                f"windows of {composition.plan.alias} read on from one another, so {count} processes have nothing to"
                " share; leave out torchrun"
            )
        if count > 1 and self._settings.mode == "step":
            raise UsageError(
                f"step mode predicts one target at a time, so {count} processes have nothing to share; leave out"
                " torchrun, or use --mode block"
            )
        if count > 1 and composition.peeking:
            names = ", ".join(member.alias for member in composition.peeking)
            raise UsageError(f"{names} would peek: such a claim is worked out by one process; leave out torchrun")


def predicts_without_trace(members: Sequence[Member]) -> bool:
    """Whether strategies say that a prediction leaves nothing that a later one depends on but targets and charges.

    So it is where all that predicts lives as long as a window, and ``observe`` is told of nothing that is predicted.
    """
    return all(
        not one.capabilities.continues
        and not one.capabilities.reads & OF_PREDICTIONS
        and (one.capabilities.scope == "window" or not set(one.type.hooks) & PREDICTING)
        for one in members
    )


def _shares_state(strategy: Caller) -> bool:
    capabilities = strategy.capabilities
    return capabilities.scope != "window" and capabilities.stage != Stage.PLAN
