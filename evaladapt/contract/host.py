"""What a strategy may ask of the frozen model while it adapts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class CappedHead:
    """A head that is ``cap tanh(W h / cap)``, with W [V,D] as it is now; to be read only."""

    weight: Tensor
    cap: float


class Host(Protocol):
    """Given to ``begin``, ``adapt`` and ``observe`` of every strategy."""

    def head(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of hidden states [..., D]; differentiable in ``hidden``."""
        ...

    def capped_head(self) -> CappedHead | None:
        """What ``head`` is made of, for those who can do with less than calling it; None where it is something else."""
        ...


class WeightHost(Host, Protocol):
    """Given to strategies that declared ``writes_weights``."""

    def parameters(self, pattern: str = "*") -> dict[str, Tensor]:
        """The parameters whose roles or names match a glob: to be changed in place, restored by the engine.

        Roles are the same in every model family: ``attention.query``, ``.key``, ``.value``, ``.out``, ``mlp.up``,
        ``.gate``, ``.down``, ``embedding``, ``head``, ``norm``; with ``.bias`` for what is added. A matrix that is
        several of them at once has every one of those roles.
        To differentiate, make leaves that share their memory, ``leaf = parameter.detach().requires_grad_()``, and hand
        those to ``loss`` as overrides.
        """
        ...

    def logits(self, tokens: Tensor, overrides: Mapping[str, Tensor] | None = None) -> Tensor:
        """Logits [B,S,V] after ``tokens`` [B,S], with a graph, for losses of one's own; ``overrides`` as in ``loss``.

        In a run of several processes every one of them computes all rows, so their gradients are equal already.
        """
        ...

    def below(self, tokens: Tensor, layers: int) -> object | None:
        """What the first ``layers`` layers make of ``tokens`` [B,S], for ``loss`` as long as they stay as they are.

        Without a graph; None where the model cannot say.
        """
        ...

    def loss(
        self,
        tokens: Tensor,
        targets: Tensor,
        overrides: Mapping[str, Tensor] | None = None,
        below: object | None = None,
    ) -> Tensor:
        """Mean negative log-likelihood in nats of ``targets`` [B,S] after ``tokens`` [B,S], with a graph.

        Targets of ``HIDDEN_TARGET`` are left out. ``overrides`` replaces parameters by name for this call, so that a
        low-rank update can be trained without touching the weights. ``below`` is what :meth:`below` said of the tokens.
        """
        ...

    def reduce_gradients(self, gradients: list[Tensor]) -> None:
        """Average gradients over the processes of the run, in place; nothing to do in a single process."""
        ...

    def layer_of(self, name: str) -> int | None:
        """Number of the layer a parameter belongs to; None outside layers and where the model does not say."""
        ...
