"""parameter-golf #1128: one vector added to the last hidden states of a whole batch, fitted to every position of it.

delta [D] is new for every batch of 32 overlapping windows and takes five steps of AdamW on the mean loss over all their
positions but the last, those about to be scored included (``train_gpt.py`` of the pull request, lines 1225 to 1467).
Breaks C1 and C3. The training between chunks that it came with is ``ttt``. Legal relative: ``slot-hidden-stream``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from evaladapt.contract import Capabilities, Host, Past, Stage, hookimpl, option


@dataclass(frozen=True, kw_only=True)
class Replica1128Options:
    """Options of ``replica-1128``; the defaults are the published values."""

    steps: int = option(5, "steps of AdamW on a batch", minimum=1)
    lr: float = option(0.003, "learning rate", above=0)
    weight_decay: float = option(1e-8, "decoupled weight decay", minimum=0)
    epsilon: float = option(1e-5, "epsilon of AdamW", above=0)


class Replica1128:
    """One delta [1,1,D] for the rows of a batch."""

    contract_version = 1
    capabilities = Capabilities(
        stage=Stage.HIDDEN,
        reads=frozenset({"hidden"}),
        peeks=True,
        breaks=("C1", "C3"),
        legal_relative="slot-hidden-stream",
    )
    Options = Replica1128Options

    def __init__(self, options: Replica1128Options) -> None:
        self._options = options

    @hookimpl
    def adapt(self, past: Past, host: Host) -> None:
        """Fit a new delta to all positions of all windows but their last."""
        last = past.positions.amax(dim=1, keepdim=True)
        chosen = past.visible & (past.positions < last)
        states = cast(Tensor, past.hidden)
        hidden, targets = states[chosen], past.targets[chosen]
        delta = torch.zeros(states.shape[-1], device=states.device)
        if len(targets):
            self._descend(delta, hidden, targets, host)
        self._delta = delta.view(1, 1, -1)

    @hookimpl
    def transform_hidden(self, hidden: Tensor) -> Tensor:
        """Add the delta to every position of every row."""
        return hidden + self._delta.to(hidden.dtype)

    @hookimpl
    def fitted(self) -> Mapping[str, Tensor]:
        """The delta, which a decoder would have to be told."""
        return {"delta": self._delta}

    def _descend(self, delta: Tensor, hidden: Tensor, targets: Tensor, host: Host) -> None:
        """Steps of AdamW on ``delta`` [D], in place; hidden [n,D], targets [n]."""
        options = self._options
        leaf = delta.requires_grad_()
        adamw = torch.optim.AdamW([leaf], lr=options.lr, weight_decay=options.weight_decay, eps=options.epsilon)
        for _ in range(options.steps):
            with torch.enable_grad():
                loss = cross_entropy(host.head(hidden + leaf).float(), targets)
                (leaf.grad,) = torch.autograd.grad(loss, [leaf])
            adamw.step()
        leaf.grad = None
        leaf.requires_grad_(False)
