"""A learned mixture of the distributions before and after every earlier strategy.

The experts are the entries of the trail: the frozen model and what each strategy left. Their logs are added with
learned exponents, ``p ∝ prod_k p_k^w_k`` (`evaladapt.toolbox.geometric`). The exponents begin at the last expert alone
and follow what was scored, by a Newton step after every target; they depend on how sure the first and the last expert
are and on how far they are apart. So evidence that two strategies both hold is not counted twice, a strategy that is
too sure of itself is softened, and one that is right where it is unsure is sharpened.

That mixture is one more expert beside the entries in a Bayesian mixture with fixed share (Herbster and Warmuth 1998).
So whatever the exponents do, over T targets the loss is at most that of the best of the K entries (or of the learned
mixture) plus ``ln(K + 1) - (T - 1) ln(1 - share + share / (K + 1))`` nats: `evaladapt.toolbox.mixing.switching_bound`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from evaladapt.contract import Capabilities, Query, Scored, Stage, State, hookimpl, option
from evaladapt.toolbox import geometric
from evaladapt.toolbox.mixing import fixed_share_update, mix_experts, uniform_log_weights


@dataclass(frozen=True, kw_only=True)
class GateOptions:
    """Options of ``gate``."""

    precision: float = option(100.0, "how firmly the exponents stay where they begin, in targets", above=0)
    half_life: float = option(4_096.0, "targets after which what was learned counts half", above=0)
    share: float = option(1e-3, "switching rate between the learned mixture and the entries", minimum=0, maximum=0.5)


class Gate:
    """Exponents and log-weights, the same for all rows; within a batch the engine runs the recursions."""

    contract_version = 1
    capabilities = Capabilities(stage=Stage.PROBS, reads=frozenset({"trail"}), scope="stream")
    Options = GateOptions

    def __init__(self, options: GateOptions) -> None:
        self._options = options
        fading = 0.5 ** (1 / options.half_life)
        self._learn = partial(geometric.newton, precision=options.precision, fading=fading)
        self._exponents: Tensor | None = None
        self._log_weights: Tensor | None = None

    @hookimpl
    def mix(self, query: Query) -> Tensor:
        """Every target with the exponents and the weights that the targets before it left: [B,S,V]."""
        experts = [entry[query.valid] for entry in query.trail]
        exponents, log_weights = self._state(len(experts))
        known = geometric.local(experts, exponents)
        states = query.fold(self._learn, exponents, _placed(known.packed(), query))[query.valid]
        at = geometric.exponents(states, known.features)
        mixture, normaliser = geometric.mixed(experts, at)
        noted = _placed(torch.cat([at, normaliser.unsqueeze(1)], dim=1), query)
        weights = query.fold(partial(_share, share=self._options.share), log_weights, noted)[query.valid]
        result = query.trail[-1].clone()
        result[query.valid] = mix_experts(weights, [mixture, *experts])
        return result

    @hookimpl
    def observe(self, scored: Scored) -> None:
        """Carry both over the batch."""
        self._exponents, self._log_weights = scored.folded

    @hookimpl
    def state(self) -> State:
        """Both, once there are any."""
        if self._exponents is None or self._log_weights is None:
            return {}
        return {"exponents": self._exponents.clone(), "log_weights": self._log_weights.clone()}

    @hookimpl
    def restore(self, state: State) -> None:
        """Take back what ``state`` returned."""
        found = [state.get(name) for name in ("exponents", "log_weights")]
        self._exponents, self._log_weights = (one.clone() if isinstance(one, Tensor) else None for one in found)

    @hookimpl
    def end(self) -> dict[str, float | int | str]:
        """Exponents where all features are zero, and how much the learned mixture is trusted."""
        if self._exponents is None or self._log_weights is None:
            return {}
        plain = torch.eye(1, geometric.FEATURES, dtype=torch.float64)
        exponents = geometric.exponents(self._exponents, plain)[0].tolist()
        learned = {f"exponent {number}": exponent for number, exponent in enumerate(exponents)}
        return {**learned, "weight of the learned mixture": float(self._log_weights[0].exp())}

    def _state(self, experts: int) -> tuple[Tensor, Tensor]:
        if self._exponents is None or self._log_weights is None:
            return geometric.start(experts, self._options.precision), uniform_log_weights(experts + 1)
        return self._exponents, self._log_weights


def _share(log_weights: Tensor, charges: Tensor, noted: Tensor, *, share: float) -> Tensor:
    """Log-weights [1 + K] after a target; ``noted`` are the exponents and ln Z of the learned mixture at it."""
    mixture = noted[:-1] @ charges - noted[-1:]
    return fixed_share_update(log_weights, torch.cat([mixture, charges]), share)


def _placed(rows: Tensor, query: Query) -> Tensor:
    """Rows [n,W] of the valid targets at their places: [B,S,W]."""
    placed = rows.new_zeros(*query.valid.shape, rows.shape[-1])
    placed[query.valid] = rows
    return placed
