"""A Bayesian mixture over the distributions before and after every earlier strategy, so that none can hurt by much.

The experts are the entries of the trail: the frozen model and what each strategy left. Their weights follow Bayes' rule
after every target, and a share of all weight is spread evenly, so that the best expert may change (fixed share,
Herbster and Warmuth 1998). Against the best single expert the loss over a whole text is at most ``ln K`` nats plus
``-(T-1) ln(1 - share + share/K)``; `evaladapt.toolbox.mixing.switching_bound` gives it for any number of switches.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from evaladapt.contract import Capabilities, Query, Scored, Stage, State, hookimpl, option
from evaladapt.toolbox.mixing import FixedShare, mix_experts, uniform_log_weights


@dataclass(frozen=True, kw_only=True)
class HedgeOptions:
    """Options of ``hedge``."""

    share: float = option(1e-3, "switching rate: part of all weight that is spread evenly after every target",
                          minimum=0, maximum=0.5)  # fmt: skip


class Hedge:
    """Log-weights [K], the same for all rows; within a batch the engine runs the recursion."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.PROBS, reads=frozenset({"trail"}), scope="stream")
    Options = HedgeOptions

    def __init__(self, options: HedgeOptions) -> None:
        self._share = options.share
        self._log_weights: Tensor | None = None

    @hookimpl
    def mix(self, query: Query) -> Tensor:
        """``log sum_k w_k p_k`` [B,S,V], every target with the weights that the targets before it left."""
        start = self._weights(len(query.trail), query.trail[0])
        return mix_experts(query.fold(FixedShare(self._share), start), query.trail)

    @hookimpl
    def observe(self, scored: Scored) -> None:
        """Carry the weights over the batch."""
        (self._log_weights,) = scored.folded

    @hookimpl
    def state(self) -> State:
        """The log-weights, once there are any."""
        return {} if self._log_weights is None else {"log_weights": self._log_weights.clone()}

    @hookimpl
    def restore(self, state: State) -> None:
        """Take back what ``state`` returned."""
        found = state.get("log_weights")
        self._log_weights = found.clone() if isinstance(found, Tensor) else None

    @hookimpl
    def end(self) -> dict[str, float | int | str]:
        """Final weight of every expert."""
        weights = [] if self._log_weights is None else self._log_weights.exp().tolist()
        return {f"weight {number}": weight for number, weight in enumerate(weights)}

    def _weights(self, experts: int, like: Tensor) -> Tensor:
        return uniform_log_weights(experts, like) if self._log_weights is None else self._log_weights.to(like.device)
