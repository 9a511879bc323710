"""The trail: the distributions of a part after every strategy, and recursions over what they charged.

Strategies that learn from the distributions before them declare it; for the others nothing here is worked out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from evaladapt.contract.views import Query
from evaladapt.engine.charge import charge_all
from evaladapt.engine.hooks.callers import Caller
from evaladapt.engine.keeper import Keeper
from evaladapt.engine.lanes import Passage, but_last
from evaladapt.engine.parts import targets_by_process
from evaladapt.errors import UsageError
from evaladapt.system.processes import Processes

Update = Callable[..., Tensor]
"""State and charges [K] to state; with notes, state, charges [K] and notes [F] to state. Pure.

One without notes may have an attribute ``over``: state and charges [n,K] of many targets to the states after each.
"""


@dataclass
class Recursion:
    """One fold of one strategy within a batch.

    Attributes:
        start: state at the frontier.
        state: after the first ``count`` targets of the batch.
        notes: what was noted about the targets after those, [n,F], where the fold has notes.
    """

    start: Tensor
    state: Tensor
    update: Update
    count: int = 0
    notes: Tensor | None = None
    _foreseen: tuple[Tensor, Tensor] | None = None
    """Charges [n-1,K] that were looked ahead over and the states [n,...] that they led to, from ``state`` on."""

    def advance(self, charges: Sequence[Tensor]) -> None:
        """Go on over the targets that are in the ledger: their charges, [K] each."""
        if not charges:
            return
        settled = torch.stack(list(charges))
        known = self._known(settled)
        left = None if self.notes is None else self.notes[known:]
        self.state = self._states(settled[known:], left)[-1]
        self.count += len(charges)
        self.notes = None if self.notes is None else self.notes[len(charges) :]
        self._foreseen = None

    def ahead(self, pending: Tensor, notes: Tensor | None) -> Tensor:
        """State before every one of n targets, [n,...], from charges [K,n-1] of all but the last, and their notes."""
        states = self._states(pending.T, notes)
        self._foreseen = (pending.T, states)
        return states

    def _known(self, settled: Tensor) -> int:
        """Go to where the charges [n,K] lead as far as that was worked out ahead; returns over how many of them."""
        if self._foreseen is None:
            return 0
        charges, states = self._foreseen
        count = min(len(charges), len(settled))
        if not torch.equal(charges[:count], settled[:count]):
            return 0
        self.state = states[count]
        return count

    def _states(self, charges: Tensor, notes: Tensor | None) -> Tensor:
        """State before and after every one of n targets: [n+1,...]."""
        over = getattr(self.update, "over", None)
        if over is not None and notes is None and len(charges):
            return torch.cat([self.state.unsqueeze(0), over(self.state, charges)])
        states = [self.state]
        for number, charged in enumerate(charges):
            noted = () if notes is None else (notes[number],)
            states.append(self.update(states[-1], charged, *noted))
        return torch.stack(states)


class TrailLog:
    """What the targets of the current batch would have been charged under every entry of the trail, so far.

    It lets the engine run a strategy's update over the targets before each target, in order: the strategy gives the
    update, the engine the loop, so that no charge can be used before its time. Block and step mode agree, because both
    run the same recursion from the frontier. The recursion is many small steps, so it runs on the CPU.
    """

    def __init__(self) -> None:
        self._charges: list[Tensor] = []
        self._recursions: dict[tuple[str, int], Recursion] = {}

    def open_batch(self) -> None:
        """Forget the batch before; what it taught is in the strategies' own state by now."""
        self._charges = []
        self._recursions = {}

    def extend(self, charges: Tensor) -> None:
        """Add committed targets: charges [K,n]."""
        if len(charges):
            self._charges.extend(charges.cpu().T)

    def batch_charges(self) -> Tensor:
        """All of the batch: [K,n]."""
        return torch.stack(self._charges, dim=1)

    def fold(
        self, key: tuple[str, int], update: Update, start: Tensor, pending: Tensor, notes: Tensor | None = None
    ) -> Tensor:
        """State before every pending target: ``start``, updated by the charges of all targets of the batch before it.

        Args:
            key: the strategy, and which of its folds this is; what was folded before in this batch is not folded again.
            update: pure.
            start: state at the frontier, the same all over the batch.
            pending: [K,n-1], charges of the part's own targets but the last; each is used for later targets only.
            notes: [n,F], what the strategy worked out about the part's targets before they are scored.

        Returns:
            [n, *start.shape].

        Raises:
            UsageError: the fold began from another state in this batch, or had notes for other targets.
        """
        device, start, pending = start.device, start.detach().cpu(), pending.cpu()
        notes = None if notes is None else notes.cpu()
        found = self._recursions.setdefault(key, Recursion(start.clone(), start.clone(), update))
        if not torch.equal(found.start, start):
            raise _inconsistent(key, "begins from another state than for targets before in the same batch")
        settled = self._charges[found.count :]
        if settled and (found.notes is None) != (notes is None):
            raise _inconsistent(key, "has notes for some targets of a batch and not for others")
        found.advance([charges[: len(pending)] for charges in settled])
        if found.notes is None or not len(found.notes):
            found.notes = notes
        return found.ahead(pending, notes).to(device)

    def folded(self, alias: str, entries: int) -> tuple[Tensor, ...]:
        """State after the whole batch of every fold of a strategy that has ``entries`` entries before it."""
        mine = [found for (owner, _), found in sorted(self._recursions.items()) if owner == alias]
        for found in mine:
            found.advance([charges[:entries] for charges in self._charges[found.count :]])
        return tuple(found.state.clone() for found in mine)


def _inconsistent(key: tuple[str, int], what: str) -> UsageError:
    return UsageError(f"fold number {key[1] + 1} of strategy {key[0]!r} {what}; fold the same thing for every target")


class Trail:
    """Queries with the trail, and what they left behind, over one batch."""

    def __init__(self, strategies: Sequence[Caller], keeper: Keeper, processes: Processes) -> None:
        self._strategies = strategies
        self._keeper = keeper
        self._processes = processes
        readers = [number for number, one in enumerate(strategies) if "trail" in one.capabilities.reads]
        self.wanted = max(readers, default=0)
        """How many entries strategies read: those before the last one that reads any."""
        self.log = TrailLog()

    def charges_before(self, strategy: Caller) -> Tensor | None:
        """What the batch would have been charged under the entries before a strategy [K,n], where it reads them."""
        if "trail" not in strategy.capabilities.reads:
            return None
        return self.log.batch_charges()[: self._strategies.index(strategy)].clone()

    def folded(self, strategy: Caller) -> tuple[Tensor, ...]:
        """Where the strategy's folds stand after the batch, in the order in which it made them."""
        return self.log.folded(strategy.alias, self._strategies.index(strategy))

    def extended(self, query: Query, strategy: Caller, passage: Passage) -> Query:
        """The query with the trail and its recursion, for a strategy that reads it."""
        if "trail" not in strategy.capabilities.reads:
            return query
        part = passage.part
        pending = self._pending_charges(passage)
        first, stop = part.first - part.whole.first, part.stop - part.whole.first

        def fold(number: int, update: Update, start: Tensor, notes: Tensor | None) -> Tensor:
            key, noted = (strategy.alias, number), None if notes is None else self._joined(notes[query.valid], passage)
            return self.log.fold(key, update, start, pending, noted)[first:stop]

        return replace(query, trail=tuple(one.clone() for one in passage.trail), _fold=fold)

    def _joined(self, notes: Tensor, passage: Passage) -> Tensor:
        """Notes [n,F] on all that is predicted at once, from a process's own."""
        sizes = targets_by_process(passage.part.whole, self._processes.count)
        return self._processes.join(notes.detach().flatten(1).T, sizes).T.reshape(-1, *notes.shape[1:])

    def _pending_charges(self, passage: Passage) -> Tensor:
        """Charges [K,n-1] of what is predicted at once, without its last target, under the entries of its trail."""
        part, valid = passage.part, passage.span.query.valid
        earlier = but_last(valid) if part.stop == part.whole.stop else valid
        charges = charge_all(tuple(passage.trail), earlier, self._keeper.targets_but_last(part))
        return self._processes.join(charges, targets_by_process(part.whole, self._processes.count, but_last=True))
