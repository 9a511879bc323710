"""Two measurements on a trained model: second moments of every weight's inputs, and how sensitive the loss is to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from evaladapt.calibration.spool import SpooledMeans
from evaladapt.model.backend import Backend

ROWS_AT_ONCE = 8
LOGITS_AT_ONCE = 1 << 24
"""Where a vocabulary is large, the logits of a few rows would take more memory than the model."""

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Calibration:
    """What was measured, by name of the weight."""

    hessians: Mapping[str, Float32]
    """Mean of ``x x^T`` over the inputs ``x`` of each weight ``[R, C]`` that multiplies vectors: ``[C, C]``.

    Weights that read the same inputs (queries, keys and values) share one array.
    """
    sensitivity: Mapping[str, float]
    """Sum over a weight's numbers of the mean square of the loss's derivative, per token."""
    tokens: int


def calibrate(model: Backend, tokens: Tensor, *, with_sensitivity: bool = True) -> Calibration:
    """Measure on ``tokens [N, S]`` int64; sensitivities take the memory of the weights once more."""
    sensitivity = loss_sensitivity(model, tokens) if with_sensitivity else {}
    return Calibration(input_moments(model, tokens), sensitivity, tokens.numel())


def _positions_at_once(model: Backend, rows: int) -> int:
    return max(1, LOGITS_AT_ONCE // (rows * model.vocab_size))


@torch.no_grad()
def input_moments(model: Backend, tokens: Tensor) -> SpooledMeans:
    """Second moments of the inputs of every ``F.linear`` with a weight of the model; a tied head counts as one.

    Raises:
        DataError: there is no room for them on the disk.
    """
    listener = _LinearInputs(dict(model.named_parameters()))
    for start in range(0, len(tokens), ROWS_AT_ONCE):
        with listener:
            states = model.hidden(tokens[start : start + ROWS_AT_ONCE])
            for some in torch.split(states, _positions_at_once(model, len(states)), dim=1):
                model.head(some)
    return listener.moments


def loss_sensitivity(model: Backend, tokens: Tensor) -> dict[str, float]:
    """Trace of the Fisher information of each weight, per token, with ``tokens`` as the draws.

    The squared gradient of a whole row's loss is, in expectation, the sum of its tokens' when the row was drawn from
    the model itself.
    """
    weights = {name: weight.detach().requires_grad_() for name, weight in model.named_parameters()}
    totals = dict.fromkeys(weights, 0.0)
    for row in tokens:
        logits = torch.func.functional_call(cast(nn.Module, model), weights, (row[None, :-1],))
        loss = F.cross_entropy(logits[0].float(), row[1:], reduction="sum")
        gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        for name, gradient in zip(weights, gradients, strict=True):
            totals[name] += float(gradient.square().sum(dtype=torch.float64)) if gradient is not None else 0.0
    targets = tokens.shape[0] * (tokens.shape[1] - 1)
    return {name: total / targets for name, total in totals.items()}


class _LinearInputs(TorchFunctionMode):
    """While active, adds up ``x x^T`` of what goes into ``F.linear`` with one of the known weights."""

    def __init__(self, weights: Mapping[str, nn.Parameter]) -> None:
        super().__init__()
        self._names = {id(weight): name for name, weight in weights.items()}
        self.moments = SpooledMeans()
        self._last: tuple[Tensor | None, str] = (None, "")

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is F.linear and id(args[1]) in self._names:
            self._add(self._names[id(args[1])], args[0])
        return func(*args, **(kwargs or {}))

    def _add(self, name: str, inputs: Tensor) -> None:
        before, owner = self._last
        if inputs is before and self.moments.owner(name) in (None, owner):
            self.moments.share(name, owner)
            return
        self._last = (inputs, name)
        flat = inputs.detach().flatten(0, -2).float()
        self.moments.add(name, (flat.T @ flat).cpu().numpy(), len(flat))
