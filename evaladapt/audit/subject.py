"""What is audited, and one run of it in this process with every distribution kept.

Distributions are taken where the judge takes them: after they are fixed and before the target is looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from evaladapt.contract.composition import Composition
from evaladapt.contract.views import Vocabulary
from evaladapt.engine.loop import Engine, Settings
from evaladapt.engine.parts import Mode, Span
from evaladapt.engine.source import Settled
from evaladapt.judge.charging import Charging, HeldText, Rules
from evaladapt.model.backend import Backend

Logprobs = NDArray[np.float32]
Settle = Callable[[int, Logprobs], None]


def _no_command(probe: str, seed: int) -> str:
    return f"the probe {probe} with seed {seed}"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A composition on a model and a text.

    Attributes:
        vocabulary: what tokens stand for, for strategies that work on bytes.
        backend: what it runs on, for the findings; only on the ``toy`` are texts enumerated.
        reproduce: the command that runs a probe (by name, with a seed) on this subject again.
    """

    model: Backend
    stream: HeldText
    composition: Composition
    settings: Settings
    vocabulary: Vocabulary | None = None
    backend: str = "artifact"
    reproduce: Callable[[str, int], str] = _no_command

    def base(self) -> Subject:
        """The same with the plan alone."""
        return replace(self, composition=self.composition.base())


@dataclass(frozen=True)
class Capture:
    """Every distribution of a run, or of its beginning.

    Attributes:
        logprobs: [n,V] float32, natural logs; row i belongs to target i + 1.
        calls: how they came, in order.
    """

    logprobs: Logprobs
    calls: tuple[Span, ...]

    def charged(self, tokens: NDArray[np.int32]) -> NDArray[np.float64]:
        """Log-probability [n] of the targets of a text ``x_0 …``."""
        count = len(self.logprobs)
        return self.logprobs[np.arange(count), tokens[1 : count + 1]].astype(np.float64)


class Enough(Exception):
    """Ends a run whose beginning is all that is wanted."""


class _Listening(Charging):
    """Keeps what is settled, and may end the run."""

    def __init__(self, text: HeldText, rules: Rules, until: int | None, settle: Settle | None) -> None:
        super().__init__(text, rules)
        self.rows, self.calls = list[Logprobs](), list[Span]()
        self._until, self._before = until, settle

    def settle(self, first: int, logprobs: Tensor, trail: Sequence[Tensor] = ()) -> Settled:
        rows = logprobs.detach().cpu().numpy().copy()
        self.rows.append(rows)
        self.calls.append(Span(first, first + len(rows)))
        if self._before:
            self._before(first, rows)
        if self._until is not None and first + len(rows) > self._until:
            raise Enough
        return self.charge(first, rows)


def capture(
    subject: Subject,
    text: HeldText | None = None,
    *,
    mode: Mode | None = None,
    until: int | None = None,
    settle: Settle | None = None,
) -> Capture:
    """Run the subject and keep every distribution.

    Args:
        subject: what to run.
        text: in place of the subject's own.
        mode: in place of the settings' mode.
        until: stop once the distribution of this target is fixed.
        settle: called with the first target and the distributions [n,V], before the targets are charged.

    Raises:
        ContractViolation: a clause was found broken.
        PluginError: a strategy raised.
    """
    settings = replace(subject.settings, mode=mode or subject.settings.mode)
    rules = Rules(mode=settings.mode, rows=settings.batch, shows_targets=bool(subject.composition.peeking))
    heard = _Listening(text or subject.stream, rules, until, settle)
    engine = Engine(subject.model, subject.composition, settings, heard,
                    vocabulary=subject.vocabulary or _numbered(subject.model.vocab_size))  # fmt: skip
    with contextlib.suppress(Enough):
        engine.run()
        heard.ledger.finish()
    return Capture(np.concatenate(heard.rows), tuple(heard.calls))


def _numbered(size: int) -> Vocabulary:
    """A vocabulary whose tokens are spelled as their numbers: what a strategy may know it may know of any."""
    return Vocabulary(tuple(str(token).encode() for token in range(size)))


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
