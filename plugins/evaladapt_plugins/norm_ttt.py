"""Test-time training of the gains of the norms alone: a few thousand numbers, so little to forget and to overfit.

After a chunk is scored, one Adam step is taken on it: on its log-loss, or on the entropy of the model's predictions for
it, which needs no targets (Tent, Wang et al. 2021, which adapts the gains of batch norms so). What is trained are the
weights whose role is ``norm``. Where a model has none, as the one that ships here, whose norms are weightless, it is
every weight that is a vector: the scales that stand where gains would, and gains of queries.

How far the trained gains are trusted is learned too. Every chunk is charged, before it is trained on, under the gains
that were loaded and under the trained ones; the weights in use lie between the two, at the posterior probability of the
second, which begins low. On text from which there is nothing to learn they stay where they were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from evaladapt.contract import (
    HIDDEN_TARGET,
    Capabilities,
    Host,
    RunInfo,
    Scored,
    Stage,
    State,
    UsageError,
    WeightHost,
    hookimpl,
    option,
)
from evaladapt.toolbox.update_rules import Adam, RuleState

FILLER = 0
DOUBT = 3.0
"""Nats of evidence that the trained gains must bring before they are trusted as much as those that were loaded."""
MOST_NATS = 60.0


@dataclass(frozen=True, kw_only=True)
class NormTttOptions:
    """Options of ``norm-ttt``."""

    objective: Literal["nll", "entropy"] = option("nll", "what a step lowers: the log-loss of the chunk, or the entropy"
                                                         " of the predictions for it")  # fmt: skip
    lr: float = option(0.01, "learning rate", above=0)
    chunk: int = option(
        256, "targets scored before a step is taken on them; the model's context is the most", minimum=1
    )
    half_life: float = option(8_192.0, "targets after which evidence for the trained gains counts half", above=0)
    anchor: float = option(0.02, "share of the way back to the original gains that every step ends with",
                           minimum=0, maximum=1)  # fmt: skip


class NormTtt:
    """Gains that move between batches; the engine restores them."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.WEIGHTS, writes_weights=True, scope="stream")
    Options = NormTttOptions

    def __init__(self, options: NormTttOptions) -> None:
        self._options = options
        self.horizon = options.chunk
        self._rule = Adam()
        self._steps = 0
        self._evidence = 0.0
        self._before = 1
        self._waiting = torch.empty(0, dtype=torch.int64)
        self._memory: dict[str, RuleState] = {}
        self._moved: dict[str, Tensor] = {}
        self._applied: dict[str, Tensor] = {}

    @hookimpl
    def begin(self, run: RunInfo, host: Host) -> None:
        """Choose what is trained."""
        self._context = run.model.context
        gains = _gains(cast(WeightHost, host))
        if not gains:
            raise UsageError("norm-ttt trains the gains of norms, and this model has neither those nor other vectors")
        self._memory = {name: self._rule.start(one) for name, one in gains.items()}
        self._moved = {name: torch.zeros_like(one) for name, one in gains.items()}
        self._applied = {name: torch.zeros_like(one) for name, one in gains.items()}
        self._waiting = self._waiting.to(run.device)

    @hookimpl
    def observe(self, scored: Scored, host: Host) -> None:
        """Train on every chunk that is complete now."""
        start = [self._waiting] if len(self._waiting) else [scored.tokens[:1]]
        self._waiting = torch.cat([*start, scored.targets])
        while len(self._waiting) >= self._before + self._options.chunk:
            end = self._before + self._options.chunk
            self._step(self._waiting[:end], self._before, cast(WeightHost, host))
            kept = min(end, self._context - self._context // 2)
            self._waiting, self._before = self._waiting[end - kept :].clone(), kept

    @hookimpl
    def state(self) -> State:
        """Text not yet trained on, how far the gains were moved, how much of it is in use, the optimiser's memory."""
        memory = {f"{name}/{what}": one for name, state in self._memory.items() for what, one in state.items()}
        moved = {f"{name}/moved": one for name, one in self._moved.items()}
        applied = {f"{name}/applied": one for name, one in self._applied.items()}
        evidence = torch.tensor(self._evidence, dtype=torch.float64)
        return {
            "waiting": self._waiting,
            "before": self._before,
            "steps": self._steps,
            "evidence": evidence,
            **memory,
            **moved,
            **applied,
        }

    @hookimpl
    def restore(self, state: State) -> None:
        """Continue; the weights are the engine's to bring back."""
        self._waiting = cast(Tensor, state["waiting"]).to(self._waiting.device)
        self._before = cast(int, state["before"])
        self._steps, self._evidence = cast(int, state["steps"]), float(cast(Tensor, state["evidence"]))
        for name, memory in self._memory.items():
            for what, tensor in (*memory.items(), ("moved", self._moved[name]), ("applied", self._applied[name])):
                tensor.copy_(cast(Tensor, state[f"{name}/{what}"]))

    @hookimpl
    def end(self) -> dict[str, float | int | str]:
        """Steps, how far the furthest gain was moved, and the share of it that is in use."""
        furthest = max((float(one.abs().max()) for one in self._moved.values()), default=0.0)
        return {"steps": self._steps, "furthest": furthest, "trust": self._trust}

    @property
    def _trust(self) -> float:
        return 1 / (1 + math.exp(min(DOUBT - self._evidence, MOST_NATS)))

    def _step(self, text: Tensor, before: int, host: WeightHost) -> None:
        """Weigh the trained gains by what they would have charged for a chunk, and train them on it."""
        live = host.parameters()
        loaded = {name: live[name] - self._applied[name] for name in self._moved}
        tokens, targets = _overlapping(text, before, self._context)
        with torch.enable_grad():
            leaves = {name: (loaded[name] + self._moved[name]).requires_grad_() for name in self._moved}
            loss = self._loss(tokens, targets, leaves, host)
            gradients = list(torch.autograd.grad(loss, list(leaves.values())))
        host.reduce_gradients(gradients)
        self._weigh(tokens, targets, loaded, {name: leaf.detach() for name, leaf in leaves.items()}, host)
        for name, gradient in zip(leaves, gradients, strict=True):
            change = self._rule.update(gradient, self._memory[name]).mul_(-self._options.lr)
            self._moved[name].add_(change).mul_(1 - self._options.anchor)
            applied = self._trust * self._moved[name]
            live[name].copy_(loaded[name] + applied)
            self._applied[name] = applied
        self._steps += 1

    def _weigh(
        self, tokens: Tensor, targets: Tensor, loaded: dict[str, Tensor], trained: dict[str, Tensor], host: WeightHost
    ) -> None:
        """Evidence, in nats, for the trained gains against those that were loaded."""
        with torch.no_grad():
            losses = [host.loss(tokens, targets, overrides=gains).detach() for gains in (loaded, trained)]
        host.reduce_gradients(losses)
        count = int((targets != HIDDEN_TARGET).sum())
        self._evidence *= 0.5 ** (count / self._options.half_life)
        self._evidence += count * float(losses[0] - losses[1])

    def _loss(self, tokens: Tensor, targets: Tensor, leaves: dict[str, Tensor], host: WeightHost) -> Tensor:
        if self._options.objective == "nll":
            return host.loss(tokens, targets, overrides=leaves)
        logprobs = torch.log_softmax(host.logits(tokens, overrides=leaves).float(), -1)
        return -(logprobs.exp() * logprobs).sum(-1)[targets != HIDDEN_TARGET].mean()


def _gains(host: WeightHost) -> dict[str, Tensor]:
    return host.parameters("norm") or {name: one for name, one in host.parameters().items() if one.ndim == 1}


def _overlapping(text: Tensor, before: int, context: int) -> tuple[Tensor, Tensor]:
    """Rows of inputs and of targets [R,context] over ``text`` [n], whose first ``before`` tokens are no targets.

    Every target is read with at least half a context before it, where there is as much, as it is when it is scored;
    without that the gains would be fitted to a model that has read next to nothing.
    """
    scored = max(1, context // 2)
    starts = range(before, len(text), scored)
    tokens = torch.full((len(starts), context), FILLER, dtype=text.dtype, device=text.device)
    targets = torch.full_like(tokens, HIDDEN_TARGET)
    for row, start in enumerate(starts):
        stop = min(start + scored, len(text))
        first = max(0, stop - 1 - context)
        tokens[row, : stop - 1 - first] = text[first : stop - 1]
        targets[row, start - 1 - first : stop - 1 - first] = text[start:stop]
    return tokens, targets
