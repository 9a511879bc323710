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

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from evaladapt.toolbox.low_rank import AdamWOptions, AdamWState, Adapter, adamw_step, fresh_adapter


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
class Trained:
    """An adapter with the moments of its two matrices; row count 1 throughout."""

    adapter: Adapter
    a_state: AdamWState
    b_state: AdamWState

    @classmethod
    def fresh(cls, adapter: Adapter) -> Trained:
        """No step taken."""
        return cls(adapter, AdamWState.fresh(adapter.a), AdamWState.fresh(adapter.b))

    def product(self) -> Tensor:
        """B A, [out,in]."""
        return self.adapter.b[0] @ self.adapter.a[0]

    def stepped(self, a_gradient: Tensor, b_gradient: Tensor, options: AdamWOptions) -> Trained:
        """After one step."""
        a = adamw_step(self.adapter.a, a_gradient, self.a_state, options)
        b = adamw_step(self.adapter.b, b_gradient, self.b_state, options)
        return Trained(Adapter(a.parameter, b.parameter), a.state, b.state)


class LoraTtt:
    """Adapters per document, their sum with the weights live in the model; the engine restores it."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.WEIGHTS, writes_weights=True, scope="stream")
    Options = LoraTttOptions

    def __init__(self, options: LoraTttOptions) -> None:
        self._options = options
        self.horizon = options.chunk
        self._scale = options.alpha / options.rank
        self._adamw = AdamWOptions(options.lr, options.beta1, options.beta2, weight_decay=options.weight_decay)
        self._trained: dict[str, Trained] = {}
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
        for name, one in self._trained.items():
            parameters[name].sub_(one.product(), alpha=self._scale)
        self._trained = dict(self._fresh(rng))
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
        tensors = {f"{name}/{what}": one for name, trained in self._trained.items()
                   for what, one in _named(trained).items()}  # fmt: skip
        return {"text": self._text, "pending": self._pending, "steps": self._steps, **tensors}

    @hookimpl
    def restore(self, state: State) -> None:
        """Continue inside a document; at the start of one, ``reset`` follows."""
        self._text = cast(Tensor, state["text"]).to(self._text.device)
        self._pending, self._steps = cast(int, state["pending"]), cast(int, state["steps"])
        self._starts_over = False
        self._trained = {name: self._restored(name, state) for name in self._shapes}

    @hookimpl
    def end(self) -> dict[str, float | int | str]:
        """How much was trained."""
        numbers = sum(self._options.rank * (rows + columns) for rows, columns in self._shapes.values())
        return {"steps": self._steps, "numbers_per_adapter": numbers}

    def _fresh(self, rng: Rng) -> Iterator[tuple[str, Trained]]:
        """Adapters for a new document; the same draw for every one, so that its place in the text does not matter."""
        for name, (rows, columns) in self._shapes.items():
            adapter = fresh_adapter(1, columns, rows, self._options.rank, rng.generator(name), self._text.device)
            if self._options.warm_a and name in self._trained:
                adapter = replace(adapter, a=self._trained[name].adapter.a)
            yield name, Trained.fresh(adapter)

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
            leaves = [leaf.detach().requires_grad_() for one in self._trained.values()
                      for leaf in (one.adapter.a, one.adapter.b)]  # fmt: skip
            products = {name: b[0] @ a[0] for name, a, b in zip(self._trained, leaves[::2], leaves[1::2], strict=True)}
            # The live weights hold the products already: their value stays, and the gradient flows to A and B.
            overrides = {
                name: parameters[name] + self._scale * (product - product.detach())
                for name, product in products.items()
            }
            gradients = list(torch.autograd.grad(host.loss(tokens, targets, overrides=overrides), leaves))
        host.reduce_gradients(gradients)
        for name, a_gradient, b_gradient in zip(products, gradients[::2], gradients[1::2], strict=True):
            moved = self._trained[name].stepped(a_gradient, b_gradient, self._adamw)
            parameters[name].add_(moved.product() - products[name].detach(), alpha=self._scale)
            self._trained[name] = moved
        self._steps += 1

    def _restored(self, name: str, state: State) -> Trained:
        def tensor(what: str) -> Tensor:
            return cast(Tensor, state[f"{name}/{what}"]).to(self._text.device)

        return Trained(
            Adapter(tensor("a"), tensor("b")),
            AdamWState(tensor("a_mean"), tensor("a_square"), tensor("a_steps")),
            AdamWState(tensor("b_mean"), tensor("b_square"), tensor("b_steps")),
        )


def _named(trained: Trained) -> dict[str, Tensor]:
    a, b = trained.a_state, trained.b_state
    return {
        "a": trained.adapter.a,
        "b": trained.adapter.b,
        "a_mean": a.mean,
        "a_square": a.square,
        "a_steps": a.steps,
        "b_mean": b.mean,
        "b_square": b.square,
        "b_steps": b.steps,
    }
