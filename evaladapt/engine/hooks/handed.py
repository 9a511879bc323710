"""What a strategy was handed for the targets of a batch, kept for when it may learn from them.

Nothing is kept that no strategy declared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from evaladapt.engine.hooks.callers import Caller
from evaladapt.engine.lanes import Passage
from evaladapt.engine.parts import Part, targets_by_process
from evaladapt.system.processes import Processes


@dataclass
class _OfStrategy:
    """One strategy's, over one batch: the sum [V] of its distributions, the last of them, and hidden states."""

    expected: Tensor | None = None
    distributions: list[Tensor] = field(default_factory=list)
    hidden: list[Tensor] = field(default_factory=list)


class Handed:
    """Collects over one batch what strategies were handed."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._of: dict[str, _OfStrategy] = {}

    def open_batch(self) -> None:
        """Forget the batch before."""
        self._of = {}

    def note(self, strategy: Caller, passage: Passage, distribution: Callable[[], Tensor]) -> None:
        """A strategy's turn has come: keep what it declared of where the targets stand.

        Args:
            strategy: whose turn it is.
            passage: with the hidden states as the strategies before left them.
            distribution: works out the log-probabilities [B,S,V] that it is handed; called where they are declared.
        """
        reads = strategy.capabilities.reads
        if not reads & {"expected", "distributions", "states"}:
            return
        kept, valid, part = self._of.setdefault(strategy.alias, _OfStrategy()), passage.span.query.valid, passage.part
        if reads & {"expected", "distributions"}:
            logprobs = distribution()
            if "expected" in reads:
                kept.expected = self._summed(kept.expected, logprobs, valid & part.own)
            if "distributions" in reads:
                kept.distributions.append(self._joined(logprobs[valid], part, strategy.focus))
        if "states" in reads:
            kept.hidden.append(self._joined(passage.span.hidden[valid], part, strategy.focus))

    def expected(self, strategy: Caller) -> Tensor | None:
        """Sum over the batch's targets of the distributions that a strategy was handed [V], where it reads it."""
        found = self._of[strategy.alias].expected if "expected" in strategy.capabilities.reads else None
        return None if found is None else found.clone()

    def last_distributions(self, strategy: Caller) -> Tensor | None:
        """The distributions that a strategy was handed for the last targets [m,V], where it reads them."""
        return self._last("distributions", self._of.get(strategy.alias, _OfStrategy()).distributions, strategy)

    def last_states(self, strategy: Caller) -> Tensor | None:
        """The hidden states that the last targets were predicted from [m,D], where it reads them."""
        return self._last("states", self._of.get(strategy.alias, _OfStrategy()).hidden, strategy)

    def _last(self, what: str, pieces: list[Tensor], strategy: Caller) -> Tensor | None:
        if what not in strategy.capabilities.reads:
            return None
        whole = torch.cat(pieces)
        return whole if strategy.focus is None else whole[max(0, len(whole) - strategy.focus) :].clone()

    def _summed(self, before: Tensor | None, logprobs: Tensor, counted: Tensor) -> Tensor:
        summed = (logprobs.exp() * counted.unsqueeze(-1)).sum(dim=(0, 1), dtype=torch.float64)
        self._processes.add(summed)
        return torch.zeros_like(summed) + summed if before is None else before + summed

    def _joined(self, rows: Tensor, part: Part, last: int | None) -> Tensor:
        """Rows [n,W] of all that is predicted at once, from a process's own; no more than are asked for."""
        whole = self._processes.join(rows.T, targets_by_process(part.whole, self._processes.count)).T
        return whole.clone() if last is None else whole[max(0, len(whole) - last) :].clone()
