"""Low-rank test-time training: every document gets small adapters of its own, trained on what is already scored.

For a weight W [out,in] the model uses W + alpha/rank · B A with A [rank,in] and B [out,rank]; B starts at zero with
every document (parameter-golf, LoRA test-time training of 2026-03-17 and #1530, #1787). A chunk of the document is
scored, and then the adapters take AdamW steps on the chunk's mean negative log-likelihood in nats, with up to
``context`` tokens before it to read.

The published forms ran many documents side by side, an adapter per row. Here documents follow each other in the one
order that counts, so an adapter serves one document because it is gone before the next; the sum is added to the live
weights between batches, where it also meets what ``ttt`` before it has done to them. They trained on the graph that had
scored the chunk; here the chunk is read a second time for that. Where the head is tied to the embedding, naming it
adapts both. Declared scope is the stream, because with ``warm_a`` the matrices A live on from document to document.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from evaladapt.contract import (
    HIDDEN_TARGET,
    Capabilities,
    Host,
    Rng,
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


@dataclass(frozen=True, kw_only=True)
class LoraTttOptions:
    """Options of ``lora-ttt``."""

    rank: int = option(8, "rank of the adapters", minimum=1)
    alpha: float = option(8.0, "adapters are scaled by alpha / rank", above=0)
    warm_a: bool = option(False, "keep A from document to document and start only B over")
    weights: str = option(
        "attention.*,mlp.*,embedding",
        "matrices that are adapted: patterns of roles or of parameter names, separated by commas",
    )
    chunk: int = option(64, "targets scored before the adapters train on them", minimum=1)
    context: int | None = option(None, "most tokens read for a chunk; none: the model's training window", minimum=1)
    steps: int = option(1, "steps of AdamW on a chunk", minimum=1)
    lr: float = option(0.004, "learning rate", above=0)
    beta1: float = option(0.9, "decay of the mean of gradients", minimum=0, maximum=0.9999)
    beta2: float = option(0.99, "decay of the mean square of gradients", minimum=0, maximum=0.99999)
    weight_decay: float = option(0.0, "decay of A and B towards zero per step, times the learning rate", minimum=0)


@dataclass(frozen=True)
class Adapter:
    """``a`` [rank,in] reads, ``b`` [out,rank] writes; beside them what the optimiser remembers of each."""

    a: Tensor
    b: Tensor
    a_memory: RuleState
    b_memory: RuleState

    def product(self) -> Tensor:
        """B A, [out,in]."""
        return self.b @ self.a

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        memories = {"a": self.a_memory, "b": self.b_memory}
        return {"a": self.a, "b": self.b} | {
            f"{name}_{what}": one for name, memory in memories.items() for what, one in memory.items()
        }


class LoraTtt:
    """Adapters per document, their sum with the weights live in the model; the engine restores it."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.WEIGHTS, writes_weights=True, scope="stream")
    Options = LoraTttOptions

    def __init__(self, options: LoraTttOptions) -> None:
        self._options = options
        self.horizon = options.chunk
        self._scale = options.alpha / options.rank
        self._rule = Adam(options.beta1, options.beta2)
        self._adapters: dict[str, Adapter] = {}
        self._starts_over = True
        self._text = torch.empty(0, dtype=torch.int64)
        self._pending = 0
        self._steps = 0

    @hookimpl
    def begin(self, run: RunInfo, host: Host) -> None:
        """Choose the matrices; the adapters are drawn when the first document begins."""
        self._context = self._options.context or run.model.context
        self._text = self._text.to(run.device)
        weights = cast(WeightHost, host)
        chosen = {name for one in self._options.weights.split(",") for name in weights.parameters(one.strip())}
        matrices = {name: one for name, one in weights.parameters().items() if one.ndim == 2}
        self._shapes = {name: (one.shape[0], one.shape[1]) for name, one in matrices.items() if name in chosen}
        if not self._shapes:
            raise UsageError(
                f"lora-ttt.weights={self._options.weights!r} names none of the model's matrices: {', '.join(matrices)}"
            )

    @hookimpl
    def reset(self) -> None:
        """Remember to start over; the weights are at hand in ``adapt`` only."""
        self._starts_over = True

    @hookimpl
    def adapt(self, host: Host, rng: Rng) -> None:
        """Take the last document's adapters out of the weights and start over, where a document begins."""
        if not self._starts_over:
            return
        parameters = cast(WeightHost, host).parameters()
        for name, one in self._adapters.items():
            parameters[name].sub_(one.product(), alpha=self._scale)
        self._adapters = dict(self._fresh(rng))
        self._starts_over, self._pending, self._text = False, 0, self._text[:0]

    @hookimpl
    def observe(self, scored: Scored, host: Host) -> None:
        """Train on every chunk of the document that is complete now."""
        text = torch.cat([self._text if len(self._text) else scored.tokens[:1], scored.targets])
        self._pending += len(scored.targets)
        while self._pending >= self._options.chunk:
            end = len(text) - self._pending + self._options.chunk
            self._train(text[max(0, end - self._context - 1) : end], cast(WeightHost, host))
            self._pending -= self._options.chunk
        self._text = text[-(self._context + self._pending + 1) :]

    @hookimpl
    def state(self) -> State:
        """Adapters, moments, the document's last tokens and counters; the weights are the engine's to keep."""
        tensors = {f"{name}/{what}": one for name, adapter in self._adapters.items()
                   for what, one in adapter.tensors().items()}  # fmt: skip
        return {"text": self._text, "pending": self._pending, "steps": self._steps, **tensors}

    @hookimpl
    def restore(self, state: State) -> None:
        """Continue inside a document; at the start of one, ``reset`` follows."""
        self._text = cast(Tensor, state["text"]).to(self._text.device)
        self._pending, self._steps = cast(int, state["pending"]), cast(int, state["steps"])
        self._starts_over = False
        self._adapters = {name: self._restored(name, state) for name in self._shapes}

    @hookimpl
    def end(self) -> dict[str, float | int | str]:
        """How much was trained."""
        numbers = sum(self._options.rank * (rows + columns) for rows, columns in self._shapes.values())
        return {"steps": self._steps, "numbers_per_adapter": numbers}

    def _fresh(self, rng: Rng) -> Iterator[tuple[str, Adapter]]:
        """Adapters for a new document; the same draw for every one, so that its place in the text does not matter."""
        for name, (rows, columns) in self._shapes.items():
            if self._options.warm_a and name in self._adapters:
                a = self._adapters[name].a
            else:
                a = _uniform(self._options.rank, columns, rng.generator(name)).to(self._text.device)
            b = torch.zeros(rows, self._options.rank, device=a.device)
            yield name, Adapter(a, b, self._rule.start(a), self._rule.start(b))

    def _train(self, text: Tensor, host: WeightHost) -> None:
        """Steps on the last ``chunk`` tokens of ``text``, which are all but the first scored targets."""
        tokens, targets = text[:-1], text[1:].clone()
        targets[: -self._options.chunk] = HIDDEN_TARGET
        for _ in range(self._options.steps):
            self._step(tokens.unsqueeze(0), targets.unsqueeze(0), host)

    def _step(self, tokens: Tensor, targets: Tensor, host: WeightHost) -> None:
        """One step of every adapter, and its effect on the live weights."""
        parameters = host.parameters()
        with torch.enable_grad():
            leaves = [leaf.detach().requires_grad_() for one in self._adapters.values() for leaf in (one.a, one.b)]
            products = {name: b @ a for name, a, b in zip(self._adapters, leaves[::2], leaves[1::2], strict=True)}
            # The live weights hold the products already: their value stays, and the gradient flows to A and B.
            overrides = {
                name: parameters[name] + self._scale * (product - product.detach())
                for name, product in products.items()
            }
            gradients = list(torch.autograd.grad(host.loss(tokens, targets, overrides=overrides), leaves))
        host.reduce_gradients(gradients)
        for name, a_gradient, b_gradient in zip(products, gradients[::2], gradients[1::2], strict=True):
            adapter = self._adapters[name]
            self._move(adapter.a, a_gradient, adapter.a_memory)
            self._move(adapter.b, b_gradient, adapter.b_memory)
            parameters[name].add_(adapter.product() - products[name].detach(), alpha=self._scale)
        self._steps += 1

    def _move(self, weight: Tensor, gradient: Tensor, memory: RuleState) -> None:
        """A step of AdamW (Loshchilov and Hutter 2019): decay is apart from the gradient."""
        update = self._rule.update(gradient, memory)
        weight.mul_(1 - self._options.lr * self._options.weight_decay).sub_(update, alpha=self._options.lr)

    def _restored(self, name: str, state: State) -> Adapter:
        def memory(of: str) -> RuleState:
            start = f"{name}/{of}_"
            return {what.removeprefix(start): tensor(what) for what in state if what.startswith(start)}

        def tensor(what: str) -> Tensor:
            return cast(Tensor, state[what]).to(self._text.device, copy=True)

        return Adapter(tensor(f"{name}/a"), tensor(f"{name}/b"), memory("a"), memory("b"))


def _uniform(rank: int, inputs: int, generator: torch.Generator) -> Tensor:
    """A [rank,in] in ±1/√in, drawn where the generator lives."""
    drawn = torch.rand(rank, inputs, generator=generator, device=generator.device)
    return (2.0 * drawn - 1.0) / math.sqrt(inputs)
