"""The engine's side of the host: the head for everyone, the weights for those who declared that they write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.func import functional_call

from evaladapt.contract.capabilities import Capabilities
from evaladapt.contract.host import Host
from evaladapt.contract.views import HIDDEN_TARGET
from evaladapt.errors import UsageError
from evaladapt.model.backend import Backend

LAYER_IN_NAME = re.compile(r"(?:^|\.)(?:layers|blocks)\.(\d+)\.")


class HeadHost:
    """Gives the head; the parameters require no gradient, so none can reach them."""

    def __init__(self, model: Backend) -> None:
        self._model = model

    def head(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of hidden states [..., D]; differentiable in ``hidden``."""
        return self._model.head(hidden)


class TrainingHost(HeadHost):
    """Gives the parameters too."""

    def __init__(self, model: Backend) -> None:
        super().__init__(model)
        if not isinstance(model, nn.Module):
            raise UsageError(
                f"{type(model).__name__} is no torch module, so strategies that train weights cannot use it"
            )
        self._module = model

    def parameters(self, pattern: str = "*") -> dict[str, Tensor]:
        """The model's parameters whose names match a glob."""
        return {name: tensor for name, tensor in self._model.named_parameters() if fnmatchcase(name, pattern)}

    def loss(self, tokens: Tensor, targets: Tensor, overrides: Mapping[str, Tensor] | None = None) -> Tensor:
        """Mean negative log-likelihood in nats, with a graph."""
        with torch.enable_grad():
            logits = functional_call(self._module, dict(overrides or {}), (tokens,))
            return torch.nn.functional.cross_entropy(
                logits.flatten(0, 1).float(), targets.flatten(), ignore_index=HIDDEN_TARGET
            )

    def reduce_gradients(self, gradients: list[Tensor]) -> None:
        """Average over the processes of the run, where there are several."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            for gradient in gradients:
                torch.distributed.all_reduce(gradient, op=torch.distributed.ReduceOp.SUM)
                gradient /= torch.distributed.get_world_size()

    def layer_of(self, name: str) -> int | None:
        """Number of the layer a parameter belongs to."""
        found = LAYER_IN_NAME.search(name)
        return int(found.group(1)) if found else None


def host_for(capabilities: Capabilities, model: Backend) -> Host:
    """The host that a strategy of these capabilities may have."""
    return TrainingHost(model) if capabilities.writes_weights else HeadHost(model)
