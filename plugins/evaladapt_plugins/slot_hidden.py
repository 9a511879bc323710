"""SLOT in hidden space: a vector added to the last hidden state, fitted to text that is already scored.

With h_t the hidden states [P,D] of the past and x_t its targets, delta [D] minimises

    Σ_t −log softmax(head(h_t + delta))[x_t]  +  precision/2 · |delta|²        (nats)

over the ``focal`` targets before the score span (SLOT, Hu et al. 2025, arXiv 2505.12392; parameter-golf #1128, #1229).
The published forms fitted it to the targets they went on to score, or shared one delta among overlapping windows; the
two forms here see nothing of the kind:

* ``slot-hidden``: one delta per window from that window's own past, gone with the window;
* ``slot-hidden-stream``: one delta kept over the text, moved on at every batch from what lies before its frontier.
  (Two strategies and not an option, because a strategy declares before it is built how long its state lives.)

The head's soft cap makes the problem slightly non-convex, so the solvers stop near a minimum, not at a certified one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from evaladapt.contract import (
    HIDDEN_TARGET,
    Capabilities,
    Host,
    Past,
    RunInfo,
    Stage,
    State,
    hookimpl,
    option,
)
from evaladapt.toolbox.batched_lbfgs import LbfgsOptions, Objective, minimise
from evaladapt.toolbox.hidden_delta import CappedLikelihood
from evaladapt.toolbox.update_rules import Adam


@dataclass(frozen=True, kw_only=True)
class SlotHiddenOptions:
    """Options of ``slot-hidden``."""

    solver: Literal["adamw", "lbfgs"] = option("lbfgs", "lbfgs: with strong Wolfe, every window by itself; or adamw")
    steps: int = option(8, "steps of adamw, or iterations of lbfgs, per fit", minimum=1)
    precision: float = option(100.0, "precision of the Gaussian prior of every number of delta", minimum=0)
    focal: int | None = option(None, "targets before the span that are fitted to; none: the window's whole past",
                               minimum=1)  # fmt: skip
    lr: float = option(0.01, "learning rate of adamw", above=0)
    lr_last: float | None = option(None, "rate of adamw's last step, reached along a cosine; none: the same", minimum=0)
    weight_decay: float = option(0.0, "decoupled decay of adamw, times the learning rate", minimum=0)
    history: int = option(10, "pairs that lbfgs remembers", minimum=1)


@dataclass(frozen=True, kw_only=True)
class SlotHiddenStreamOptions(SlotHiddenOptions):
    """Options of ``slot-hidden-stream``; smaller steps, because they add up."""

    solver: Literal["adamw", "lbfgs"] = option("adamw", "adamw; or lbfgs: with strong Wolfe")
    steps: int = option(4, "steps of adamw, or iterations of lbfgs, per fit", minimum=1)
    horizon: int = option(256, "targets scored between two fits, where a window is not longer", minimum=1)


class SlotHidden:
    """One delta [D] per window."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.HIDDEN, reads=frozenset({"hidden"}))
    Options = SlotHiddenOptions

    def __init__(self, options: SlotHiddenOptions) -> None:
        self._options = options
        self.focus = options.focal
        self._delta: Tensor | None = None

    @hookimpl
    def adapt(self, past: Past, host: Host) -> None:
        """Fit the deltas of all rows side by side: [B,D]."""
        hidden = cast(Tensor, past.hidden)
        start = torch.zeros(hidden.shape[0], hidden.shape[2], device=hidden.device)
        self._delta = _fitted(start, hidden, past.targets, host, self._options)

    @hookimpl
    def transform_hidden(self, hidden: Tensor) -> Tensor:
        """Add the row's delta to every position."""
        return _shifted(hidden, self._delta)


class SlotHiddenStream:
    """One delta [1,D] for the whole text; every fit starts where the one before it ended."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.HIDDEN, scope="stream", reads=frozenset({"hidden"}))
    Options = SlotHiddenStreamOptions

    def __init__(self, options: SlotHiddenStreamOptions) -> None:
        self._options = options
        self.focus, self.horizon = options.focal, options.horizon

    @hookimpl
    def begin(self, run: RunInfo) -> None:
        """Start at zero."""
        self._delta = torch.zeros(1, run.model.hidden_size, device=run.device)

    @hookimpl
    def adapt(self, past: Past, host: Host) -> None:
        """Move delta on by the past before the frontier."""
        self._delta = _fitted(self._delta, cast(Tensor, past.hidden), past.targets, host, self._options)

    @hookimpl
    def transform_hidden(self, hidden: Tensor) -> Tensor:
        """Add delta to every position."""
        return _shifted(hidden, self._delta)

    @hookimpl
    def state(self) -> State:
        """The delta that the next fit starts from."""
        return {"delta": self._delta}

    @hookimpl
    def restore(self, state: State) -> None:
        """Continue."""
        self._delta = cast(Tensor, state["delta"]).to(self._delta.device)


def _shifted(hidden: Tensor, delta: Tensor | None) -> Tensor:
    return hidden if delta is None else hidden + delta.unsqueeze(1).to(hidden.dtype)


def _fitted(start: Tensor, hidden: Tensor, targets: Tensor, host: Host, options: SlotHiddenOptions) -> Tensor:
    """Deltas [B,D] of hidden states [B,P,D] with targets [B,P]; a row without a visible target keeps its start."""
    visible = (targets != HIDDEN_TARGET).sum(dim=1)
    if not bool(visible.any()):
        return start
    objective = _objective(_likelihood(hidden, targets, host), visible, options.precision)
    if options.solver == "lbfgs":
        moved = minimise(objective, start, LbfgsOptions(iterations=options.steps, history=options.history)).x
    else:
        moved = _descended(objective, start, options)
    return torch.where((visible > 0).unsqueeze(1), moved, start)


def _objective(likelihood: Objective, visible: Tensor, precision: float) -> Objective:
    """Nats per visible token of every row, prior included, with its gradient."""
    count = visible.clamp(min=1)

    def value_and_gradient(delta: Tensor) -> tuple[Tensor, Tensor]:
        nats, slope = likelihood(delta)
        value = (nats + 0.5 * precision * delta.double().square().sum(dim=1)) / count
        return value, (slope + precision * delta) / count.unsqueeze(1)

    return value_and_gradient


def _likelihood(hidden: Tensor, targets: Tensor, host: Host) -> Objective:
    """Nats of every row's visible targets [B] under a delta [B,D], with their gradient."""
    known = host.capped_head()
    if known is not None:
        return CappedLikelihood.build(hidden, targets, known.weight, known.cap).value_and_gradient

    def value_and_gradient(delta: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            leaf = delta.detach().requires_grad_()
            logits = host.head(_shifted(hidden, leaf)).flatten(0, 1).float()
            nats = cross_entropy(logits, targets.flatten(), ignore_index=HIDDEN_TARGET, reduction="none")
            summed = nats.view(targets.shape).double().sum(dim=1)
            (gradient,) = torch.autograd.grad(summed.sum(), leaf)
        return summed.detach(), gradient

    return value_and_gradient


def _descended(objective: Objective, start: Tensor, options: SlotHiddenOptions) -> Tensor:
    """AdamW from ``start`` [B,D]; element-wise, so rows stay apart."""
    delta, rule = start.clone(), Adam(epsilon=1e-5)
    memory = rule.start(start)
    for step in range(options.steps):
        rate, gradient = _rate(options, step), objective(delta)[1]
        delta.mul_(1 - rate * options.weight_decay).sub_(rule.update(gradient, memory), alpha=rate)
    return delta


def _rate(options: SlotHiddenOptions, step: int) -> float:
    """From ``lr`` to ``lr_last`` along half a cosine."""
    if options.lr_last is None or options.steps == 1:
        return options.lr
    share = 0.5 * (1 + math.cos(math.pi * step / (options.steps - 1)))
    return options.lr_last + (options.lr - options.lr_last) * share
