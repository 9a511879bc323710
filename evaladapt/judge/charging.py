"""Charging a text: what is told of it, in what order, and what every target costs. The only place that reads a target.

A :class:`Charging` is the :class:`~evaladapt.engine.source.Exchange` of an engine in the same process (``inline``), and
what a judge serves a player from (``session``). It has no tensor and no model: distributions come in as numbers and are
looked at here, whatever the process they come from says of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from evaladapt.contract.views import Window
from evaladapt.engine.parts import PARTS, Mode, Part
from evaladapt.engine.source import Beginning, Settled, TextShape
from evaladapt.engine.windows import MOST_TARGETS, Batch
from evaladapt.errors import ContractViolation
from evaladapt.judge.records.ledger import Ledger
from evaladapt.judge.records.snapshot import CoderState, Journal

if TYPE_CHECKING:
    from torch import Tensor

Boundaries = Literal["paid", "charged"]
"""How it is paid for that a document begins; see :func:`shape_of`."""

WHOLE = 1e-5
"""Nats by which the log of a distribution's sum may differ from zero. Whoever lives off it gains as much a target."""
WHOLE_PER_TOKEN = 4e-10
"""The same for each token of a large vocabulary: float32 log-softmax leaves up to 1.6e-5 at 151,936 tokens."""
MOST_UNWHOLE = 1e-4
"""However many tokens a player says that there are: beyond 250,000 it would be told more tolerance for nothing."""
IN_CACHE = 1 << 18
"""Probabilities that are worked on at once, because several passes over them follow one another."""
SNAPSHOT_SECONDS = 30.0
"""Between two snapshots, and as much again for every second that one takes: trained weights may be gigabytes."""
Logprobs = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called after every batch with the targets charged so far and their number."""


class HeldText(Protocol):
    """A text whose tokens are known, or become known to a coder target by target."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def tokens(self) -> NDArray[np.int32]:
        """[N+1]; the same array for the whole run."""

    @property
    def documents(self) -> NDArray[np.int32]:
        """[N+1], document of every token."""

    @property
    def targets(self) -> int:
        """N."""


class TargetCoder(Protocol):
    """Writes every target under its distribution, or finds it out from what was written."""

    def settle(self, targets: NDArray[np.int64], logprobs: Logprobs) -> None:
        """Called once for ``targets`` [n] in order, with their distributions [n,V]; then they are in the text."""

    def state(self) -> CoderState:
        """All it needs to continue after an interruption."""

    def restore(self, state: CoderState) -> None:
        """Continue from what :meth:`state` returned."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a text is told and paid for.

    Attributes:
        mode: in block mode a batch's inputs are told before its distributions come; in step mode no unscored token.
        boundaries: see :func:`shape_of`.
        rows: most windows of a batch.
        shows_targets: tell a batch's targets with its inputs, because a strategy peeks; nothing of it is a score.
    """

    mode: Mode = "block"
    boundaries: Boundaries = "paid"
    rows: int = 16
    shows_targets: bool = False


def shape_of(text: HeldText, boundaries: Boundaries) -> TextShape:
    """What is told of a text before it is scored.

    ``paid``: where documents start is told, as a decoder is told it; a BOS costs nothing, and the coded length of the
    boundaries is part of the score. ``charged``: nobody is told, and a BOS costs what any token costs.
    """
    starts = np.flatnonzero(np.diff(text.documents, prepend=-1))
    return TextShape(
        text.name, text.targets, int(text.tokens[0]),
        tuple(starts.tolist()) if boundaries == "paid" else None,
    )  # fmt: skip


class Charging:
    """Tells a text batch by batch and charges what is predicted for it."""

    def __init__(
        self,
        text: HeldText,
        rules: Rules,
        *,
        coder: TargetCoder | None = None,
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.text, self.rules, self.shape = text, rules, shape_of(text, rules.boundaries)
        self.ledger = Ledger(text.targets, text.documents, journal)
        self.worst_sum = 0.0
        self.batch: Batch | None = None
        self.free = _free_targets(self.shape)
        self._coder, self._journal, self._progress = coder, journal, progress
        self._saved = time.monotonic()
        self._waited, self._pause = 0.0, SNAPSHOT_SECONDS
        self._batches = 0

    wants_trail = False

    def begin(self) -> Beginning:
        """Where an interrupted run left its last snapshot, or the start."""
        found = self._journal.take_up(self.ledger) if self._journal else None
        if found is None:
            return Beginning()
        if self._coder:
            self._coder.restore(found.coder)
        self._batches = found.batches
        return Beginning(found.batches, self.text.tokens[1 : self.ledger.due].copy(), found.state)

    def open(self, batch: Batch) -> NDArray[np.int32]:
        """Check the windows of a batch and return the tokens from its frontier on that may be read now.

        Raises:
            ContractViolation: clause C4, when they are not the next targets, once each, or too many at once.
        """
        self._refuse_other_windows(batch.windows)
        self.batch = batch
        if self.rules.mode == "step":
            return np.zeros(0, dtype=np.int32)
        return self.text.tokens[batch.frontier : batch.end - (not self.rules.shows_targets)].copy()

    def parts(self, batch: Batch) -> Iterator[Part]:
        """Whole, or target by target."""
        return PARTS[self.rules.mode](batch)

    def known(self, batch: Batch) -> None:
        """Nothing: every target is predicted first."""

    def settle(self, first: int, logprobs: Tensor, trail: Sequence[Tensor] = ()) -> Settled:
        """:meth:`charge` for an engine in this process."""
        return self.charge(first, logprobs.detach().cpu().numpy())

    def charge(self, first: int, logprobs: Logprobs) -> Settled:
        """Charge targets ``first …`` under their distributions [n,V]; only then look at them.

        Raises:
            ContractViolation: C2, when one is not a whole distribution, or gives nothing to what came; C4, when it is
                not their turn.
        """
        stop = first + len(logprobs)
        self._refuse_others_turn(first, stop)
        self._refuse_broken(first, logprobs)
        paid = np.flatnonzero(~self.free[first:stop])
        if self._coder and len(paid):
            self._coder.settle(first + paid, logprobs[paid])
        targets = self.text.tokens[first:stop].copy()
        self._refuse_unknown(first, targets, logprobs.shape[1])
        charges = np.zeros(len(logprobs))
        charges[paid] = logprobs[paid, targets[paid]].astype(np.float64)
        self._refuse_impossible(first, charges)
        self.ledger.commit(first, charges)
        return Settled(targets, charges, self._close_at(stop))

    def keep(self, state: bytes) -> None:
        """Write a snapshot of the run at the end of this batch; none where a strategy cannot say its state."""
        if self._journal and state:
            self._journal.save(self._batches, self.ledger, state, self._coder.state() if self._coder else {})
        taken = time.monotonic() - self._saved - self._waited
        self._pause = SNAPSHOT_SECONDS * (1 + taken)
        self._saved = time.monotonic()

    def _close_at(self, stop: int) -> bool:
        """Close the batch if that was its last target; returns whether its end should be kept in a snapshot."""
        if self.batch is None or stop != self.batch.end:
            return False
        self.ledger.close_batch(self._batches)
        self._batches += 1
        if self._progress:
            self._progress(stop - 1, self.text.targets)
        self._waited = time.monotonic() - self._saved
        return self._journal is not None and self._journal.writes and self._waited >= self._pause

    def _refuse_other_windows(self, windows: tuple[Window, ...]) -> None:
        due = self.ledger.due
        if self.batch is not None and self.batch.end != due:
            raise _broken_plan(f"a batch was opened although target {due} of the one before was not predicted", due)
        if len(windows) > self.rules.rows:
            raise _broken_plan(f"a batch holds {len(windows)} windows where {self.rules.rows} are allowed", due)
        for window in windows:
            if window.score_from != due or not 0 <= window.start < window.score_from < window.score_to:
                raise _broken_plan(f"{window} was to score target {due} next", due)
            due = window.score_to
        most = MOST_TARGETS if len(windows) > 1 else max(MOST_TARGETS, windows[0].past)
        if due - windows[0].score_from > most:
            raise _broken_plan(f"a batch of {due - windows[0].score_from:,} targets was asked for; it holds at most"
                               f" {most:,}", windows[0].score_from)  # fmt: skip
        if due > self.text.targets + 1:
            raise _broken_plan(f"{windows[-1]} reaches past the last target, {self.text.targets}", due)

    def _refuse_others_turn(self, first: int, stop: int) -> None:
        if self.batch is None or not self.batch.frontier <= first < stop <= self.batch.end:
            raise _broken_plan(f"targets {first} to {stop - 1} were predicted outside of the batch that is open", first)

    def _refuse_unknown(self, first: int, targets: NDArray[np.int32], vocabulary: int) -> None:
        beyond = np.flatnonzero(targets >= vocabulary)
        if len(beyond):
            target, token = first + int(beyond[0]), int(targets[beyond[0]])
            raise ContractViolation(
                f"target {target} is token {token}, and its distribution is over {vocabulary} tokens (clause C2)",
                clause="C2",
                positions=(target,),
            )

    def _refuse_impossible(self, first: int, charges: NDArray[np.float64]) -> None:
        endless = np.flatnonzero(~np.isfinite(charges))
        if len(endless):
            target = first + int(endless[0])
            raise ContractViolation(
                f"target {target} was given no probability at all, so its cost has no end (clause C2)",
                clause="C2",
                positions=(target,),
            )

    def _refuse_broken(self, first: int, logprobs: Logprobs) -> None:
        at_once = max(1, IN_CACHE // logprobs.shape[1])
        few = (logprobs[row : row + at_once] for row in range(0, len(logprobs), at_once))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            sums = np.log(np.concatenate([np.exp(some).sum(axis=1, dtype=np.float64) for some in few]))
        worst = np.abs(sums)
        tolerance = min(max(WHOLE, WHOLE_PER_TOKEN * logprobs.shape[1]), MOST_UNWHOLE)
        wrong = np.flatnonzero(~(worst <= tolerance))
        if len(wrong):
            what = f"sum to e^{sums[wrong[0]]:.3g}" if np.isfinite(sums[wrong[0]]) else "are not all finite"
            raise ContractViolation(
                f"the probabilities of target {first + int(wrong[0])} {what}, so they are no distribution (clause C2)",
                clause="C2",
                positions=tuple(int(first + one) for one in wrong[:3]),
            )
        self.worst_sum = max(self.worst_sum, float(worst.max()))


def _free_targets(shape: TextShape) -> NDArray[np.bool_]:
    """Targets [N+1] that everybody was told before: the BOS tokens of boundaries that are paid for apart."""
    free: NDArray[np.bool_] = np.zeros(shape.targets + 1, dtype=bool)
    if shape.document_starts is not None:
        free[list(shape.document_starts)] = True
    return free


def _broken_plan(reason: str, target: int) -> ContractViolation:
    return ContractViolation(f"{reason} (clause C4: every target once, in order)", clause="C4", positions=(target,))
