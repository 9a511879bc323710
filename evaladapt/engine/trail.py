"""The trail of a batch: its distributions after every strategy, what its targets were charged under them, and sums.

Strategies that learn from the distributions before them declare it; for the others nothing here is worked out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from evaladapt.contract.views import Query
from evaladapt.engine.callers import Caller
from evaladapt.engine.charge import charge_all
from evaladapt.engine.keeper import Keeper
from evaladapt.engine.lanes import Passage, but_last
from evaladapt.engine.parts import targets_by_process
from evaladapt.system.processes import Processes

Fold = Callable[[Tensor, Tensor], Tensor]


class TrailLog:
    """What the targets of the current batch would have been charged under every entry of the trail, so far.

    It lets the engine run a strategy's update over the targets before each target, in order: the strategy gives the
    update, the engine the loop, so that no charge can be used before its time. Block and step mode agree, because both
    run the same recursion from the frontier.
    """

    def __init__(self) -> None:
        self._charges: list[Tensor] = []
        self._folded: dict[str, tuple[int, Tensor]] = {}

    def open_batch(self) -> None:
        """Forget the batch before; what it taught is in the strategies' own state by now."""
        self._charges = []
        self._folded = {}

    def extend(self, charges: Tensor) -> None:
        """Add committed targets: charges [K,n]."""
        if len(charges):
            self._charges.extend(charges.T)

    def batch_charges(self) -> Tensor:
        """All of the batch: [K,n]."""
        return torch.stack(self._charges, dim=1)

    def fold(self, alias: str, update: Fold, start: Tensor, pending: Tensor) -> Tensor:
        """State before every pending target: ``start``, updated by the charges of all targets of the batch before it.

        Args:
            alias: whose recursion it is; what was folded for it in this batch is not folded again.
            update: pure; state and charges [K] to state.
            start: state at the frontier.
            pending: [K,n-1], charges of the part's own targets but the last; each is used for later targets only.

        Returns:
            [n, *start.shape].
        """
        count, state = self._folded.get(alias, (0, start))
        for charges in self._charges[count:]:
            state = update(state, charges[: len(pending)])
        self._folded[alias] = (len(self._charges), state)
        states = [state]
        for charges in pending.T:
            state = update(state, charges)
            states.append(state)
        return torch.stack(states)


class Distributions:
    """What strategies may know of the distributions before them, over one batch."""

    def __init__(self, strategies: Sequence[Caller], keeper: Keeper, processes: Processes) -> None:
        self._strategies = strategies
        self._keeper = keeper
        self._processes = processes
        self.wanted = any("trail" in one.capabilities.reads for one in strategies)
        self.log = TrailLog()
        self._expected: dict[str, Tensor] = {}

    def open_batch(self) -> None:
        """Forget the batch before."""
        self.log.open_batch()
        self._expected = {}

    def charges_before(self, strategy: Caller) -> Tensor | None:
        """What the batch would have been charged under the entries before a strategy [K,n], where it reads them."""
        if "trail" not in strategy.capabilities.reads:
            return None
        return self.log.batch_charges()[: self._strategies.index(strategy)].clone()

    def expected(self, strategy: Caller) -> Tensor | None:
        """Sum over the batch's targets of the distributions that a strategy was handed [V], where it reads it."""
        return self._expected[strategy.alias].clone() if "expected" in strategy.capabilities.reads else None

    def hand(self, strategy: Caller, logprobs: Tensor, passage: Passage) -> None:
        """Add up the distributions [B,S,V] that a strategy is about to be handed, where it reads their sum."""
        if "expected" not in strategy.capabilities.reads:
            return
        counted = passage.span.query.valid & passage.part.own
        summed = (logprobs.exp() * counted.unsqueeze(-1)).sum(dim=(0, 1), dtype=torch.float64)
        self._processes.add(summed)
        self._expected[strategy.alias] = self._expected.get(strategy.alias, torch.zeros_like(summed)) + summed

    def query_for(self, strategy: Caller, passage: Passage) -> Query:
        """The query, with the trail and its recursion for a strategy that reads it."""
        query, part = passage.span.query, passage.part
        if "trail" not in strategy.capabilities.reads:
            return query
        pending = self._pending_charges(passage)
        first, stop = part.first - part.whole.first, part.stop - part.whole.first

        def fold(update: Fold, start: Tensor) -> Tensor:
            return self.log.fold(strategy.alias, update, start, pending)[first:stop]

        return replace(query, trail=tuple(one.clone() for one in passage.trail), _fold=fold)

    def _pending_charges(self, passage: Passage) -> Tensor:
        """Charges [K,n-1] of what is predicted at once, without its last target, under the entries of its trail."""
        part, valid = passage.part, passage.span.query.valid
        earlier = but_last(valid) if part.stop == part.whole.stop else valid
        charges = charge_all(tuple(passage.trail), earlier, self._keeper.targets_but_last(part))
        return self._processes.join(charges, targets_by_process(part.whole, self._processes.count, but_last=True))
