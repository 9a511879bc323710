"""The loop: forward, adapt, transform, check, commit, observe. The order of these lines is the contract."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from evaladapt.contract.capabilities import Stage
from evaladapt.contract.composition import Composition
from evaladapt.contract.views import Boundary, ModelInfo, RunInfo, Vocabulary
from evaladapt.engine.callers import Caller, build_callers
from evaladapt.engine.charge import charge, charge_all
from evaladapt.engine.clock import Clock
from evaladapt.engine.keeper import Keeper
from evaladapt.engine.ledger import Ledger, LedgerFile
from evaladapt.engine.parts import PARTS, Mode, Part, share, targets_by_process
from evaladapt.engine.predict import Prediction, Predictor
from evaladapt.engine.replicas import compare_replicas
from evaladapt.engine.snapshot import Snapshot, read_snapshot, write_snapshot
from evaladapt.engine.source import SideChannel, TargetCoder, TokenSource
from evaladapt.engine.weights import Weights
from evaladapt.engine.windows import Batch, Horizon, batches, covering, cut_at_documents
from evaladapt.errors import DataError, UsageError
from evaladapt.model.backend import Backend
from evaladapt.system.processes import ALONE, Processes

SNAPSHOT_SECONDS = 30.0
CODER = "the coder"
"""Under this name, which no strategy can have, a snapshot keeps the state of a run's coder."""
Progress = Callable[[int, int], None]
"""Called after every batch with the targets charged so far and their number."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a run is carried out; all of it is part of the run's identity."""

    batch: int = 16
    seed: int = 0
    mode: Mode = "block"


@dataclass(frozen=True)
class Journal:
    """Where a run keeps its ledger and snapshots, and whether it continues an earlier one of the same identity."""

    folder: Path
    name: str
    identity: str
    resume: bool = False

    @property
    def ledger(self) -> Path:
        """File of the ledger."""
        return self.folder / f"{self.name}.ledger"

    @property
    def snapshot(self) -> Path:
        """File of the latest snapshot."""
        return self.folder / f"{self.name}.snapshot"


@dataclass(frozen=True)
class Outcome:
    """What a run charged. Sums are float64; ``document_nats`` is by document of the target."""

    targets: int
    nats: float
    bits: float
    document_nats: NDArray[np.float64]
    digest: str
    batches: int
    worst_sum: float
    clock: Clock
    seconds: float
    weights_digest: str
    scalars: dict[str, dict[str, float | int | str]] = field(default_factory=dict)


class Engine:
    """One run of a composition on a stream. Owns the tokens, the targets, the clock and the arithmetic of the score."""

    def __init__(
        self,
        model: Backend,
        stream: TokenSource,
        composition: Composition,
        settings: Settings | None = None,
        *,
        coder: TargetCoder | None = None,
        side: SideChannel | None = None,
        journal: Journal | None = None,
        progress: Progress | None = None,
        processes: Processes = ALONE,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._vocabulary = vocabulary
        self._processes = processes
        self._refuse_unusable(composition, stream)
        self._stream, self._coder, self._journal, self._progress = stream, coder, journal, progress
        self._composition = composition
        self.clock = Clock()
        self._weights = Weights(model)
        device = next(iter(self._weights.live.values())).device
        self._keeper = Keeper(stream, device)
        self._strategies = build_callers(composition, self._settings.seed, self.clock)
        self._predictor = Predictor(model, self._weights, self._keeper, self._strategies, self.clock,
                                    self._settings.mode, processes, side)  # fmt: skip
        self._model_info = ModelInfo(model.vocab_size, model.hidden_size, model.context, model.layers)
        self.info = RunInfo(
            self._keeper.info, self._model_info, self._settings.batch, self._settings.seed, self._settings.mode, device
        )

    @torch.no_grad()
    def run(self) -> Outcome:
        """Score every target once, left to right.

        Raises:
            ContractViolation: a clause of the contract was broken; nothing of this run is a score.
            PluginError: a strategy raised.
        """
        file = LedgerFile(self._journal.ledger, self._journal.identity) if self._journal else None
        ledger = Ledger(self._stream.targets, self._stream.documents, file if self._writes else None)
        try:
            self._begin()
            done = self._take_up(ledger, file)
            worst_sum, last_snapshot = 0.0, time.monotonic()
            for batch in self.batches():
                if batch.number < done:
                    continue
                self._reset_at_document(batch)
                self._predictor.open_batch()
                for part in PARTS[self._settings.mode](batch):
                    mine = share(part, self._processes.rank, self._processes.count)
                    prediction = self._predictor.predict(mine)
                    with self.clock.phase("score"):
                        if self._coder:
                            self._coder.settle(part.first, prediction.logprobs[prediction.query.valid])
                        ledger.commit(part.first, self._charge(prediction, mine))
                    worst_sum = max(worst_sum, prediction.worst_sum)
                self._observe(batch, ledger.close_batch(batch.number))
                last_snapshot = self._snapshot_when_due(batch.number + 1, last_snapshot)
                if self._progress:
                    self._progress(batch.end - 1, self._stream.targets)
            ledger.finish()
            return self._outcome(ledger, batch.number + 1, worst_sum)
        finally:
            if file:
                file.close()
            self._weights.restore()

    def _charge(self, prediction: Prediction, mine: Part) -> NDArray[np.float64]:
        """Look up what the targets of a part cost, one's own and, from the other processes, the rest."""
        valid, targets = prediction.query.valid, self._keeper.targets(mine)
        sizes = targets_by_process(mine.whole, self._processes.count)
        self._predictor.trail_log.extend(self._processes.join(charge_all(prediction.trail, valid, targets), sizes))
        return self._processes.join(charge(prediction.logprobs, valid, targets), sizes).cpu().numpy()

    def _info_for(self, strategy: Caller) -> RunInfo:
        """The settings of the run, with the bytes of every token for a strategy that reads them."""
        if "vocabulary" not in strategy.capabilities.reads:
            return self.info
        if self._vocabulary is None:
            raise UsageError(f"strategy {strategy.alias!r} works on the bytes of tokens, and nobody said what they are")
        return replace(self.info, vocabulary=self._vocabulary)

    @property
    def _writes(self) -> bool:
        """Whether this process keeps the journal: one of them does."""
        return self._processes.rank == 0

    def _begin(self) -> None:
        for strategy in self._having("begin"):
            strategy.call("begin", run=self._info_for(strategy), host=self._predictor.host(strategy))

    def batches(self) -> Iterator[Batch]:
        """The batches of the run: the plan, checked to cover every target once, in groups of rows."""
        plan = self._strategies[0]
        windows = plan.call("plan", stream=self._keeper.info, model=self._model_info)
        windows = covering(windows, self._stream.targets, plan.alias)
        breaks = self._keeper.info.document_starts if self._minds_documents() else ()
        if breaks:
            windows = cut_at_documents(windows, self._keeper.info)
        horizons = (
            Horizon(one.horizon, one.implements("reset")) for one in self._strategies if one.horizon is not None
        )
        return batches(windows, self._settings.batch, breaks, tuple(horizons))

    def _reset_at_document(self, batch: Batch) -> None:
        document = self._keeper.document_of(batch.frontier - 1)
        position = self._keeper.info.document_starts[document]
        if position == batch.frontier - 1:
            for strategy in self._having("reset"):
                strategy.call("reset", boundary=Boundary(document, position))

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

    def _take_up(self, ledger: Ledger, file: LedgerFile | None) -> int:
        """Start the ledger's file, or bring everything to where an interrupted run left its last snapshot."""
        if file is None or self._journal is None:
            return 0
        found = read_snapshot(self._journal.snapshot, self._journal.identity) if self._journal.resume else None
        if found is None:
            if self._writes:
                file.start()
            return 0
        for line in file.resume(found.batches) if self._writes else islice(file.lines(), found.batches):
            ledger.replay(line)
        self._weights.replace(found.weights)
        for strategy in self._having("restore"):
            strategy.call("restore", state=found.states[strategy.alias])
        if self._coder:
            self._coder.restore(found.states[CODER])
        return found.batches

    def _snapshot_when_due(self, done: int, last: float) -> float:
        due = time.monotonic() - last >= SNAPSHOT_SECONDS
        if self._journal is None or not (due and self._writes and self._resumable()):
            return last
        with self.clock.phase("snapshot"):
            states = {one.alias: one.call("state") for one in self._having("state")}
            if self._coder:
                states[CODER] = self._coder.state()
            written = any(one.capabilities.writes_weights for one in self._strategies)
            weights = self._weights.live if written else {}
            write_snapshot(self._journal.snapshot, self._journal.identity, Snapshot(done, states, weights))
        return time.monotonic()

    def _resumable(self) -> bool:
        """Whether every strategy that remembers something across batches can say what."""
        remembering = [one for one in self._strategies if one.implements("observe") or _shares_state(one)]
        return all(one.implements("state") for one in remembering)

    def _outcome(self, ledger: Ledger, count: int, worst_sum: float) -> Outcome:
        compare_replicas(self._processes, self._weights.live, self._strategies)
        scalars = {one.alias: dict(one.call("end", run=self.info)) for one in self._having("end")}
        self._weights.verify(writable=any(one.capabilities.writes_weights for one in self._strategies))
        return Outcome(
            targets=ledger.targets,
            nats=ledger.nats,
            bits=ledger.bits,
            document_nats=ledger.document_nats,
            digest=ledger.digest,
            batches=count,
            worst_sum=self._processes.largest(worst_sum),
            clock=self.clock,
            seconds=self.clock.elapsed,
            weights_digest=self._weights.digest,
            scalars=scalars,
        )

    def _refuse_unusable(self, composition: Composition, stream: TokenSource) -> None:
        if stream.targets < 1:
            raise DataError(f"the text {stream.name!r} has no targets: there is nothing to score")
        if self._settings.batch < 1:
            raise UsageError(f"a batch holds at least one window, not {self._settings.batch}")
        if self._settings.mode == "step" and composition.peeking:
            names = ", ".join(member.alias for member in composition.peeking)
            raise UsageError(f"{names} would peek, and in step mode there is nothing to peek at; use block mode")
        self._refuse_splitting(composition)

    def _refuse_splitting(self, composition: Composition) -> None:
        """Several processes split the rows of a batch in block mode, and only where no row's state knows a target."""
        count = self._processes.count
        if count > 1 and self._settings.mode == "step":
            raise UsageError(
                f"step mode predicts one target at a time, so {count} processes have nothing to share; leave out"
                " torchrun, or use --mode block"
            )
        if count > 1 and composition.peeking:
            names = ", ".join(member.alias for member in composition.peeking)
            raise UsageError(f"{names} would peek: such a claim is worked out by one process; leave out torchrun")


def _shares_state(strategy: Caller) -> bool:
    capabilities = strategy.capabilities
    return capabilities.scope != "window" and capabilities.stage != Stage.PLAN
