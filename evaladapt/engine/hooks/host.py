"""The engine's side of the host: the head for everyone, the weights for those who declared that they write them."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.func import functional_call

from evaladapt.contract.capabilities import Capabilities, Stage
from evaladapt.contract.host import CappedHead, Host
from evaladapt.contract.views import HIDDEN_TARGET
from evaladapt.engine.hooks.loss import fits_at_once, summed_loss
from evaladapt.errors import UsageError
from evaladapt.model.backend import Backend, CappedHeadBackend, LayeredBackend, roles_of
from evaladapt.model.roles import of_role
from evaladapt.system.processes import Processes, rows_of


class HeadHost:
    """Gives the head; the parameters require no gradient, so none can reach them."""

    def __init__(self, model: Backend) -> None:
        self._model = model

    def head(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of hidden states [..., D]; differentiable in ``hidden``."""
        return self._model.head(hidden)

    def capped_head(self) -> CappedHead | None:
        """The head's parts, where the model names them."""
        if not isinstance(self._model, CappedHeadBackend):
            return None
        return CappedHead(self._model.head_matrix().detach(), self._model.head_cap)


class TrainingHost(HeadHost):
    """Gives the parameters too, and splits the rows of a loss over the processes of the run."""

    def __init__(self, model: Backend, processes: Processes, memory: int | None = None) -> None:
        super().__init__(model)
        self._processes = processes
        self._memory = memory
        if not isinstance(model, nn.Module):
            raise UsageError(
                f"{type(model).__name__} is no torch module, so strategies that train weights cannot use it"
            )
        self._module = model
        self._roles = roles_of(model)

    def parameters(self, pattern: str = "*") -> dict[str, Tensor]:
        """The model's parameters whose roles or names match a glob."""
        chosen = set(of_role(self._roles, pattern))
        return {
            name: tensor
            for name, tensor in self._model.named_parameters()
            if name in chosen or fnmatchcase(name, pattern)
        }

    def logits(self, tokens: Tensor, overrides: Mapping[str, Tensor] | None = None) -> Tensor:
        """Logits [B,S,V] with a graph; every process computes all rows."""
        with torch.enable_grad():
            found: Tensor = functional_call(self._module, dict(overrides or {}), (tokens,))
        return found

    def below(self, tokens: Tensor, layers: int) -> object | None:
        """What the first layers make of this process's rows; None where the model, or the memory, does not allow it."""
        if not isinstance(self._model, LayeredBackend) or not self._fits(tokens):
            return None
        with torch.no_grad():
            found: object = self._model.below(tokens[self._own(tokens)], layers)
        return found

    def loss(
        self,
        tokens: Tensor,
        targets: Tensor,
        overrides: Mapping[str, Tensor] | None = None,
        below: object | None = None,
    ) -> Tensor:
        """Mean negative log-likelihood in nats, with a graph.

        With several processes each reads its own rows only, weighted so that the mean of their losses, and with it the
        mean of their gradients, is that of all rows.
        """
        chosen, count = self._own(tokens), self._processes.count
        own = rows_of(self._processes.rank, count, len(tokens)).own
        tokens, wanted = tokens[chosen], targets[chosen]
        with torch.enable_grad():
            if self._memory is not None and not self._fits(tokens):
                total = summed_loss(self._model, tokens, wanted, overrides or {}, self._memory)
                return total * (count * own / (targets != HIDDEN_TARGET).sum())
            given = (tokens,) if below is None else (tokens, below)
            logits: Tensor = functional_call(self._module, dict(overrides or {}), given)
            nats = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1).float(),
                wanted.flatten(),
                ignore_index=HIDDEN_TARGET,
                reduction="mean" if count == 1 else "sum",
            )
            if count == 1:
                return nats
            return nats * (count * own / (targets != HIDDEN_TARGET).sum())

    def _own(self, tokens: Tensor) -> slice:
        rows = rows_of(self._processes.rank, self._processes.count, len(tokens))
        return slice(rows.first, rows.stop)

    def _fits(self, tokens: Tensor) -> bool:
        """Whether all logits of the tokens may be held at once."""
        return self._memory is None or fits_at_once(self._memory, tokens.numel(), self._model.vocab_size)

    def reduce_gradients(self, gradients: list[Tensor]) -> None:
        """Average over the processes of the run, where there are several."""
        self._processes.average(gradients)

    def layer_of(self, name: str) -> int | None:
        """Number of the layer a parameter belongs to."""
        return self._roles[name].layer if name in self._roles else None


def host_for(capabilities: Capabilities, model: Backend, processes: Processes, memory: int | None = None) -> Host:
    """The host that a strategy of these capabilities may have.

    Raises:
        UsageError: the model cannot do what the strategy needs.
    """
    works_on_states = capabilities.stage == Stage.HIDDEN or "hidden" in capabilities.reads
    if works_on_states and getattr(model, "states_are_logits", False):
        raise UsageError(
            "the model does not show its hidden states, and the strategy works on them. Where the module can say them:"
            " evaladapt.model.wrapped.wrap(module, context=TOKENS, hidden=..., head=...)"
        )
    return TrainingHost(model, processes, memory) if capabilities.writes_weights else HeadHost(model)
