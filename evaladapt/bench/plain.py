"""The loops that published scripts are made of, written plainly: the slow twin of every fast path.

No engine, no strategies, no shortcuts: windows of full length are computed again for every stride, the head runs over
all their positions, a delta is fitted by one ``torch.optim`` optimiser a window, and training has forwards of its own.
Tests hold the strategies against these results, and ``evaladapt bench speed`` measures how much faster they are.

Every function takes the stream's tokens [N+1] and returns natural log-probabilities of its targets, float64 [N].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from evaladapt.model.transformer import Transformer
from evaladapt.toolbox.bias_prior import Prior

Nats = NDArray[np.float64]
WINDOWS_TOGETHER = 32


@dataclass(frozen=True)
class PlainWindow:
    """Inputs ``[start, end)``, of which the first ``skipped`` predict targets that are scored already."""

    start: int
    end: int
    skipped: int


@dataclass(frozen=True)
class Recipe:
    """Score-first training of parameter-golf #549; ``muon`` takes its place of SGD where it is set (#1176)."""

    chunk: int
    epochs: int
    lr: float
    sequences: int
    momentum: float = 0.9
    clip: float = 1.0
    freeze: int = 0
    cosine: bool = True
    muon: bool = False


def plain_windows(targets: int, context: int, stride: int) -> list[PlainWindow]:
    """The first window scores all of its targets, every later one its last ``stride``."""
    later = context - stride
    return [
        PlainWindow(start, min(start + context, targets), later if start else 0)
        for start in range(0, targets, stride)
        if start == 0 or start + later < targets
    ]


@torch.no_grad()
def plain_sliding(model: Transformer, tokens: Sequence[int], stride: int) -> Nats:
    """Sliding windows, ``WINDOWS_TOGETHER`` at a time, all logits of every one."""
    inputs, targets = _shifted(tokens)
    charged = np.zeros(len(targets))
    _score(model, inputs, targets, plain_windows(len(targets), model.context, stride), charged)
    return charged


def plain_logit_bias(
    model: Transformer, tokens: Sequence[int], stride: int, prior: Prior, clamp: float, iterations: int = 25
) -> Nats:
    """For every window one ``torch.optim.LBFGS`` on a delta [V], fitted to the window's past."""
    inputs, targets = _shifted(tokens)
    charged = np.zeros(len(targets))
    for window in plain_windows(len(targets), model.context, stride):
        with torch.no_grad():
            logits = model(inputs[None, window.start : window.end])[0]
        past, answers = logits[: window.skipped], targets[window.start : window.start + window.skipped]
        delta = fit_one_logit_bias(past, answers, prior, iterations=iterations).clamp(-clamp, clamp)
        _keep(charged, window, logits[window.skipped :] + delta, targets)
    return charged


def fit_one_logit_bias(
    logits: Tensor, targets: Tensor, prior: Prior, *, iterations: int = 25, history: int = 20
) -> Tensor:
    """Delta [V] for logits [T, V] and targets [T] (-100 where not visible), per token, as in the field's scripts."""
    visible = int((targets >= 0).sum())
    delta = logits.new_zeros(logits.shape[-1], requires_grad=True)
    if visible == 0:
        return delta.detach()

    def loss() -> Tensor:
        nats = cross_entropy(logits + delta, targets, ignore_index=-100)
        return nats + prior.cost(delta[None])[0] / visible

    return _minimised(delta, loss, iterations, history)


def plain_hidden_delta(
    model: Transformer, tokens: Sequence[int], stride: int, precision: float, iterations: int = 8
) -> Nats:
    """For every window one ``torch.optim.LBFGS`` on a delta [D] of the hidden states, fitted to the window's past."""
    inputs, targets = _shifted(tokens)
    charged = np.zeros(len(targets))
    for window in plain_windows(len(targets), model.context, stride):
        with torch.no_grad():
            hidden = model.hidden(inputs[None, window.start : window.end])[0]
        delta = torch.zeros_like(hidden[0])
        if window.skipped:
            past, answers = hidden[: window.skipped], targets[window.start : window.start + window.skipped]
            delta = _fit_hidden_delta(model, past, answers, precision, iterations)
        with torch.no_grad():
            _keep(charged, window, model.head(hidden[window.skipped :] + delta), targets)
    return charged


def plain_training(model: Transformer, tokens: Sequence[int], stride: int, recipe: Recipe) -> Nats:
    """Score a chunk, then train on it unless it is the last; ``model`` is left as trained.

    A window belongs to the chunk in which its first scored target lies.
    """
    inputs, targets = _shifted(tokens)
    charged = np.zeros(len(targets))
    windows = plain_windows(len(targets), model.context, stride)
    chunks = math.ceil(len(targets) / recipe.chunk)
    trained = _unfrozen(model, recipe.freeze)
    optimiser = PlainMuon(trained, recipe) if recipe.muon else torch.optim.SGD(trained, recipe.lr, recipe.momentum)
    for chunk in range(chunks):
        scored = [one for one in windows if (one.start + one.skipped) // recipe.chunk == chunk]
        with torch.no_grad():
            _score(model, inputs, targets, scored, charged)
        if chunk == chunks - 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = recipe.lr * (0.5 * (1 + math.cos(math.pi * chunk / (chunks - 1))) if recipe.cosine else 1)
        for rows, answers in _sequences(inputs, targets, chunk * recipe.chunk, model.context, recipe):
            optimiser.zero_grad()
            cross_entropy(model(rows).flatten(0, 1).float(), answers.flatten()).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(trained, recipe.clip)
            optimiser.step()
    return charged


class PlainMuon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024), one matrix after the other; momentum for what is no matrix."""

    def __init__(self, weights: list[nn.Parameter], recipe: Recipe) -> None:
        super().__init__(weights, {"lr": recipe.lr})
        self._momentum = recipe.momentum

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take every weight's step."""
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                buffer = state.setdefault("momentum", torch.zeros_like(weight))
                buffer.mul_(self._momentum).add_(weight.grad)
                update = buffer
                if weight.ndim == 2:
                    scale = math.sqrt(max(1.0, weight.shape[0] / weight.shape[1]))
                    update = plain_newton_schulz(weight.grad + self._momentum * buffer) * scale
                weight.sub_(group["lr"] * update)


def plain_newton_schulz(matrix: Tensor) -> Tensor:
    """Five steps of the quintic (3.4445, -4.7750, 2.0315) on [R, C], as every script has it."""
    x = matrix / (matrix.norm() + 1e-7)
    if matrix.shape[0] > matrix.shape[1]:
        x = x.T
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    orthogonal: Tensor = x.T if matrix.shape[0] > matrix.shape[1] else x
    return orthogonal


def _shifted(tokens: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Inputs and targets, [N] each."""
    text = torch.as_tensor(np.asarray(tokens)).long()
    return text[:-1], text[1:]


def _score(model: Transformer, inputs: Tensor, targets: Tensor, windows: Sequence[PlainWindow], charged: Nats) -> None:
    """Padded to one length, as scripts do it; rows do not read each other and nothing reads what follows it."""
    for first in range(0, len(windows), WINDOWS_TOGETHER):
        some = windows[first : first + WINDOWS_TOGETHER]
        rows = torch.zeros(len(some), max(one.end - one.start for one in some), dtype=torch.int64)
        for row, window in zip(rows, some, strict=True):
            row[: window.end - window.start] = inputs[window.start : window.end]
        for logits, window in zip(model(rows), some, strict=True):
            _keep(charged, window, logits[window.skipped : window.end - window.start], targets)


def _keep(charged: Nats, window: PlainWindow, logits: Tensor, targets: Tensor) -> None:
    scored = slice(window.start + window.skipped, window.end)
    charged[scored] = -cross_entropy(logits.float(), targets[scored], reduction="none").double().numpy()


def _minimised(delta: Tensor, loss: Callable[[], Tensor], iterations: int, history: int) -> Tensor:
    optimiser = torch.optim.LBFGS([delta], max_iter=iterations, history_size=history, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return delta.detach()


def _fit_hidden_delta(model: Transformer, hidden: Tensor, targets: Tensor, precision: float, iterations: int) -> Tensor:
    delta = torch.zeros_like(hidden[0]).requires_grad_()

    def loss() -> Tensor:
        nats = cross_entropy(model.head(hidden + delta), targets)
        return nats + 0.5 * precision * delta.square().sum() / len(targets)

    return _minimised(delta, loss, iterations, history=10)


def _unfrozen(model: Transformer, freeze: int) -> list[nn.Parameter]:
    """Require gradients of the layers from ``freeze`` on, and of all weights where it is zero."""
    for parameter in model.parameters():
        parameter.requires_grad_(freeze == 0)
    for block in list(model.blocks)[freeze:]:
        block.requires_grad_(True)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _sequences(
    inputs: Tensor, targets: Tensor, first: int, length: int, recipe: Recipe
) -> Iterator[tuple[Tensor, Tensor]]:
    """The chunk in disjoint sequences, ``recipe.sequences`` of them at a time, in every epoch; [B, length] each."""
    chosen = slice(first, first + recipe.chunk // length * length)
    rows, answers = inputs[chosen].view(-1, length), targets[chosen].view(-1, length)
    for _ in range(recipe.epochs):
        for row in range(0, len(rows), recipe.sequences):
            yield rows[row : row + recipe.sequences], answers[row : row + recipe.sequences]
