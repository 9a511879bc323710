"""What is audited, and one run of it with every distribution kept.

Distributions are taken where a coder would take them: after they are fixed and before the target is looked at. So the
audit sees what is charged, from outside of the composition, and needs no privilege in the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from evaladapt.contract.composition import Composition
from evaladapt.contract.views import State
from evaladapt.data.stream import TokenStream
from evaladapt.engine.loop import Engine, Outcome, Settings
from evaladapt.engine.parts import Mode
from evaladapt.engine.source import TokenSource
from evaladapt.model.backend import Backend

Logprobs = NDArray[np.float32]
Settle = Callable[[int, Logprobs], None]


def _no_command(probe: str, seed: int) -> str:
    return f"the probe {probe} with seed {seed}"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A composition on a model and a text.

    Attributes:
        backend: ``artifact`` or ``toy``, for the findings; only on the toy are texts enumerated.
        reproduce: the command that runs a probe (by name, with a seed) on this subject again.
    """

    model: Backend
    stream: TokenStream
    composition: Composition
    settings: Settings
    backend: str = "artifact"
    reproduce: Callable[[str, int], str] = _no_command

    def base(self) -> Subject:
        """The same with the plan alone."""
        return replace(self, composition=self.composition.base())


@dataclass(frozen=True)
class Call:
    """Targets ``[first, stop)`` whose distributions were fixed together."""

    first: int
    stop: int


@dataclass(frozen=True)
class Capture:
    """Every distribution of a run, or of its beginning.

    Attributes:
        logprobs: [n,V] float32, natural logs; row i belongs to target i + 1.
        calls: how they came, in order.
        ends: one past the last target of every batch that came to its end.
        outcome: None where the run was stopped on purpose.
    """

    logprobs: Logprobs
    calls: tuple[Call, ...]
    ends: tuple[int, ...]
    outcome: Outcome | None

    def charged(self, tokens: NDArray[np.int32]) -> NDArray[np.float64]:
        """Log-probability [n] of the targets of a text ``x_0 …``."""
        count = len(self.logprobs)
        return self.logprobs[np.arange(count), tokens[1 : count + 1]].astype(np.float64)


class Enough(Exception):
    """Raised by the audit's own coder to end a run whose beginning is all that is wanted."""


class _Recorder:
    """The coder's place in a run: keeps what is settled."""

    def __init__(self, until: int | None, settle: Settle | None) -> None:
        self.rows: list[Logprobs] = []
        self.calls: list[Call] = []
        self._until, self._settle = until, settle

    def settle(self, first: int, logprobs: Tensor) -> None:
        rows = logprobs.detach().cpu().numpy().copy()
        self.rows.append(rows)
        self.calls.append(Call(first, first + len(rows)))
        if self._settle:
            self._settle(first, rows)
        if self._until is not None and first + len(rows) > self._until:
            raise Enough

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        """Nothing is kept over an interruption: audits are not resumed."""


def capture(
    subject: Subject,
    source: TokenSource | None = None,
    *,
    mode: Mode | None = None,
    batch: int | None = None,
    until: int | None = None,
    settle: Settle | None = None,
    after_batch: Callable[[int], None] | None = None,
) -> Capture:
    """Run the subject and keep every distribution.

    Args:
        subject: what to run.
        source: a text in place of the subject's own.
        mode: in place of the settings' mode.
        batch: in place of the settings' batch.
        until: stop once the distribution of this target is fixed.
        settle: called with the first target and the distributions [n,V], before the targets are charged.
        after_batch: called with the last target of every batch, after it was observed.

    Raises:
        ContractViolation: the engine found a clause broken.
        PluginError: a strategy raised.
    """
    recorder = _Recorder(until, settle)
    settings = replace(subject.settings, mode=mode or subject.settings.mode, batch=batch or subject.settings.batch)
    ends: list[int] = []

    def progress(done: int, _: int) -> None:
        ends.append(done + 1)
        if after_batch:
            after_batch(done)

    outcome = None
    try:
        engine = Engine(subject.model, source or subject.stream, subject.composition, settings, coder=recorder,
                        progress=progress)  # fmt: skip
        outcome = engine.run()
    except Enough:
        pass
    return Capture(np.concatenate(recorder.rows), tuple(recorder.calls), tuple(ends), outcome)


@dataclass(frozen=True)
class Difference:
    """How two captures differ.

    Attributes:
        targets: where, the first few.
        count: at how many targets.
        nats: largest change of a log-probability.
    """

    targets: tuple[int, ...]
    count: int
    nats: float

    def __str__(self) -> str:
        return f"{self.count} distributions moved, by up to {self.nats:.2g} nats"


def difference(
    expected: Logprobs, found: Logprobs, tolerance: float = 0.0, least_probability: float = 0.0
) -> Difference | None:
    """Compare distributions [n,V] of the targets 1 … n; None where none moved by more than ``tolerance`` nats.

    Tokens whose probability is below ``least_probability`` in both do not count.
    """
    count = min(len(expected), len(found))
    moved = np.abs(expected[:count] - found[:count])
    if least_probability:
        moved = np.where(np.maximum(expected[:count], found[:count]) >= np.log(least_probability), moved, 0.0)
    by_target = moved.max(axis=1) if count else np.zeros(0)
    where = np.flatnonzero(by_target > tolerance)
    if not len(where):
        return None
    return Difference(tuple(int(one) + 1 for one in where[:3]), len(where), float(by_target.max()))
