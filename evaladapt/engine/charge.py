"""Looking up what targets cost, and remembering it within a batch for strategies that learn from the trail."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Fold = Callable[[Tensor, Tensor], Tensor]


def charge(logprobs: Tensor, valid: Tensor, targets: Tensor) -> Tensor:
    """Log-probabilities [n] (float64) of ``targets`` [n] under distributions [B,S,V] whose valid rows are in order."""
    placed = torch.zeros_like(valid, dtype=torch.int64)
    placed[valid] = targets
    return logprobs.gather(-1, placed.unsqueeze(-1)).squeeze(-1)[valid].double()


def charge_all(trail: tuple[Tensor, ...], valid: Tensor, targets: Tensor) -> Tensor:
    """The same under every entry of a trail: [K,n]."""
    if not trail:
        return torch.empty(0, len(targets), dtype=torch.float64, device=targets.device)
    return torch.stack([charge(one, valid, targets) for one in trail])


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
